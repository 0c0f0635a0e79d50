/// The arguments of one command line, checked against the command's declaration. Asking for what the command does not
/// declare, or by the wrong kind, is a mistake of ours.
public struct ParsedArguments: Sendable {
  struct Given: Sendable {
    var name: String
    var value: OptionValue?
  }

  public let command: CommandDeclaration
  let options: [OptionDeclaration]
  let values: [Given]
  let positionals: [String]

  /// Whether the option stands on the command line; a default does not count.
  public func isGiven(_ name: String) -> Bool {
    _ = declaration(name)
    return values.contains { $0.name == name }
  }

  public func flag(_ name: String) -> Bool {
    precondition(declaration(name).kind == .flag)
    return isGiven(name)
  }

  public func text(_ name: String) -> String? { texts(name).last }

  /// All values of a repeated option, in order; the default alone if there is none.
  public func texts(_ name: String) -> [String] {
    all(name).map { value in
      guard case .text(let text) = value else { preconditionFailure("--\(name) is not text") }
      return text
    }
  }

  public func integer(_ name: String) -> Int? {
    guard let value = all(name).last else { return nil }
    guard case .integer(let number) = value else { preconditionFailure("--\(name) is not a number") }
    return number
  }

  public func sizeBytes(_ name: String) -> UInt64? {
    guard let value = all(name).last else { return nil }
    guard case .bytes(let bytes) = value else { preconditionFailure("--\(name) is not a size") }
    return bytes
  }

  public func durationNanoseconds(_ name: String) -> UInt64? {
    guard let value = all(name).last else { return nil }
    guard case .nanoseconds(let nanoseconds) = value else { preconditionFailure("--\(name) is not a time") }
    return nanoseconds
  }

  public var outputMode: OutputMode { text(OutputMode.option.name).flatMap(OutputMode.init(rawValue:)) ?? .table }

  /// The argument of that name; nil if it is optional and absent.
  public func positional(_ name: String) -> String? {
    let index = place(name)
    return index < positionals.count ? positionals[index] : nil
  }

  /// All arguments of that repeated name.
  public func repeatedPositionals(_ name: String) -> [String] { Array(positionals.dropFirst(place(name))) }

  private func place(_ name: String) -> Int {
    guard let index = command.positionals.firstIndex(where: { $0.name == name }) else {
      preconditionFailure("'\(command.name)' declares no argument \(name)")
    }
    return index
  }

  private func declaration(_ name: String) -> OptionDeclaration {
    guard let option = options.first(where: { $0.name == name }) else {
      preconditionFailure("'\(command.name)' declares no option --\(name)")
    }
    return option
  }

  private func all(_ name: String) -> [OptionValue] {
    let option = declaration(name)
    let given = values.filter { $0.name == name }.compactMap(\.value)
    if !given.isEmpty { return given }
    guard let text = option.defaultText else { return [] }
    guard let value = try? option.value(of: text) else { preconditionFailure("the default of --\(name) is not valid") }
    return [value]
  }
}
