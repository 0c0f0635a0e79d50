/// All commands of a program, and how its arguments are read.
public struct CommandLineGrammar: Sendable {
  /// What a command line asks for.
  public enum Request: Sendable {
    /// Text for standard output, and then exit status 0.
    case help(String)
    case run(ParsedArguments)
  }

  public var program: String
  /// One line about the program.
  public var summary: String
  public var commands: [CommandDeclaration]
  /// Options that every command understands.
  public var commonOptions: [OptionDeclaration]

  public init(program: String, summary: String, commands: [CommandDeclaration], commonOptions: [OptionDeclaration] = [OutputMode.option]) {
    let names = commands.map(\.name)
    precondition(Set(names).count == names.count, "a command is declared twice")
    self.program = program
    self.summary = summary
    self.commands = commands
    self.commonOptions = commonOptions
  }

  /// Reads the arguments behind the program's own name. Options may stand anywhere behind the command's words;
  /// behind `--` everything is positional.
  public func parse(_ arguments: [String]) throws(CommandError) -> Request {
    if arguments.isEmpty || ["help", "--help", "-h"].contains(arguments[0]) {
      return .help(try help(for: Array(arguments.dropFirst().filter { !$0.hasPrefix("-") })))
    }
    var words = arguments
    guard let command = match(&words) else { throw unknownCommand(arguments) }
    let end = words.firstIndex(of: "--") ?? words.endIndex
    if words[..<end].contains(where: { $0 == "--help" || $0 == "-h" }) { return .help(helpText(for: command)) }
    return .run(try read(words, for: command))
  }

  /// The help of the command or group of commands that `path` names; of the program if it is empty.
  public func help(for path: [String]) throws(CommandError) -> String {
    if path.isEmpty { return helpText() }
    if let command = commands.first(where: { $0.path == path }) { return helpText(for: command) }
    let group = commands.filter { $0.path.starts(with: path) }
    if group.isEmpty { throw unknownCommand(path) }
    return helpText(ofGroup: path, group)
  }

  /// The command with the longest path that `words` begin with; its path is removed from them.
  private func match(_ words: inout [String]) -> CommandDeclaration? {
    var best: CommandDeclaration?
    for command in commands where words.starts(with: command.path) && command.path.count > best?.path.count ?? 0 { best = command }
    if let best { words.removeFirst(best.path.count) }
    return best
  }

  private func unknownCommand(_ arguments: [String]) -> CommandError {
    let words = Array(arguments.prefix { !$0.hasPrefix("-") })
    guard let first = words.first else {
      return .usage("'\(arguments[0])' stands before the command", hint: "Write the command first: \(program) COMMAND \(arguments[0]) ...")
    }
    let group = commands.filter { $0.path.count > 1 && $0.path[0] == first }
    let seeHelp = "'\(program) help' lists all commands."
    if group.isEmpty {
      var names: [String] = []
      for command in commands where !names.contains(command.path[0]) { names.append(command.path[0]) }
      let suggestion = Suggestion.sentence(for: first, among: names)
      return .usage("'\(first)' is not a command", hint: suggestion.isEmpty ? seeHelp : suggestion)
    }
    let seconds = group.map { $0.path[1] }
    if words.count < 2 {
      return .usage("'\(first)' needs one of: \(seconds.joined(separator: ", "))", hint: "See '\(program) help \(first)'.")
    }
    let suggestion = Suggestion.sentence(for: words[1], among: seconds)
    return .usage(
      "'\(first) \(words[1])' is not a command",
      hint: suggestion.isEmpty ? "'\(first)' knows: \(seconds.joined(separator: ", "))." : suggestion)
  }
}
