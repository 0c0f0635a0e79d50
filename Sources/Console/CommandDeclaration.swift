/// An argument without a name, known by its place.
public struct PositionalDeclaration: Sendable {
  public enum Arity: Sendable {
    case required
    case optional
    /// One or more; only as the last one.
    case repeated
    /// Any number, also none; only as the last one.
    case repeatedOrNone
  }

  /// In capitals, as the help shows it.
  public var name: String
  public var arity: Arity
  public var help: String

  public init(_ name: String, _ arity: Arity = .required, help: String) {
    self.name = name
    self.arity = arity
    self.help = help
  }

  var usage: String {
    switch arity {
    case .required: name
    case .optional: "[\(name)]"
    case .repeated: "\(name)..."
    case .repeatedOrNone: "[\(name)...]"
    }
  }
}

/// One command: what it is called, takes and does. The parser and the help are generated from this.
public struct CommandDeclaration: Sendable {
  /// A line that can be pasted, and what it does.
  public struct Example: Sendable {
    public var line: String
    public var meaning: String

    public init(_ line: String, _ meaning: String) {
      self.line = line
      self.meaning = meaning
    }
  }

  /// The words that name it, as in `["volume", "create"]`.
  public var path: [String]
  /// One line, without a full stop.
  public var summary: String
  /// Paragraphs for the command's own help; may be empty.
  public var details: String
  public var positionals: [PositionalDeclaration]
  public var options: [OptionDeclaration]
  public var examples: [Example]

  public init(
    _ path: [String], summary: String, details: String = "", positionals: [PositionalDeclaration] = [],
    options: [OptionDeclaration] = [], examples: [Example] = []
  ) {
    precondition(!path.isEmpty)
    let names = options.map(\.name)
    precondition(Set(names).count == names.count, "command \(path) declares an option twice")
    for (index, positional) in positionals.enumerated() where index + 1 < positionals.count {
      precondition(positional.arity == .required || positional.arity == .optional, "only the last argument may be repeated")
      precondition(
        positional.arity != .optional || positionals[index + 1].arity != .required, "a required argument follows an optional one")
    }
    self.path = path
    self.summary = summary
    self.details = details
    self.positionals = positionals
    self.options = options
    self.examples = examples
  }

  /// The words of the path with spaces.
  public var name: String { path.joined(separator: " ") }
}
