/// One `--name` that a command understands.
public struct OptionDeclaration: Sendable {
  /// What the option takes.
  public enum Kind: Sendable, Equatable {
    /// Nothing: present or not.
    case flag
    /// Any text; the word stands for it in the help.
    case text(String)
    /// A whole number within the range.
    case integer(ClosedRange<Int>)
    /// Bytes, as `ByteSize` reads them.
    case size
    /// Nanoseconds, as `TimeSpan` reads them.
    case duration
    /// One of these words.
    case choice([String])
  }

  /// Without the dashes.
  public var name: String
  public var kind: Kind
  /// A one-letter form, as in `-o`.
  public var short: Character?
  /// What holds when the option is absent: shown in the help and returned by the accessors.
  public var defaultText: String?
  public var isRequired: Bool
  /// May be given several times; the accessors in the plural return all values.
  public var isRepeated: Bool
  public var help: String

  public init(
    _ name: String, _ kind: Kind, short: Character? = nil, defaultText: String? = nil, isRequired: Bool = false,
    isRepeated: Bool = false, help: String
  ) {
    precondition(!name.isEmpty && !name.hasPrefix("-") && !name.contains("="))
    precondition(!(isRequired && defaultText != nil), "--\(name) has a default, so it is not required")
    self.name = name
    self.kind = kind
    self.short = short
    self.defaultText = defaultText
    self.isRequired = isRequired
    self.isRepeated = isRepeated
    self.help = help
    precondition(defaultText.map { (try? value(of: $0)) != nil } ?? true, "the default of --\(name) is not valid")
  }

  /// How the value is called in the help; empty for flags.
  public var placeholder: String {
    switch kind {
    case .flag: ""
    case .text(let word): word
    case .integer: "N"
    case .size: "SIZE"
    case .duration: "TIME"
    case .choice(let words): words.joined(separator: "|")
    }
  }

  /// Checks and converts the text given for this option.
  func value(of text: String) throws(CommandError) -> OptionValue {
    switch kind {
    case .flag:
      throw .usage("--\(name) takes no value, but '\(text)' was given")
    case .text:
      return .text(text)
    case .integer(let range):
      guard let number = Int(text) else { throw .usage("--\(name) takes a whole number, but '\(text)' was given") }
      if !range.contains(number) {
        throw .usage("--\(name) is \(number), but must be from \(range.lowerBound) to \(range.upperBound)")
      }
      return .integer(number)
    case .size:
      do { return .bytes(try ByteSize.parse(text)) } catch {
        switch error {
        case .notASize:
          throw .usage(
            "--\(name) takes a size, but '\(text)' was given", hint: "Write whole numbers with a binary unit: 4k, 512MiB, 20GiB.")
        case .decimalUnit:
          throw .usage(
            "--\(name) is '\(text)', and decimal units are refused because they are read in two ways",
            hint: "Write a binary unit: \(text.dropLast())iB.")
        case .tooLarge:
          throw .usage("--\(name) is '\(text)', which is more than 8 EiB")
        }
      }
    case .duration:
      do { return .nanoseconds(try TimeSpan.parse(text)) } catch {
        throw .usage("--\(name) takes a time, but '\(text)' was given", hint: "Write a number with a unit: 500ms, 60s, 2m, 1h.")
      }
    case .choice(let words):
      if words.contains(text) { return .text(text) }
      throw .usage(
        "--\(name) is '\(text)', but must be one of: \(words.joined(separator: ", "))",
        hint: Suggestion.sentence(for: text, among: words))
    }
  }
}

/// The converted value of an option.
enum OptionValue: Equatable, Sendable {
  case text(String)
  case integer(Int)
  case bytes(UInt64)
  case nanoseconds(UInt64)
}
