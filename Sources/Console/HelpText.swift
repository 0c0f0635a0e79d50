extension CommandLineGrammar {
  /// The program's help: every command with its summary.
  public func helpText() -> String {
    var text = "\(program): \(summary)\n\nusage: \(program) COMMAND [OPTIONS]\n\ncommands:\n"
    text += Self.columns(commands.map { ($0.name, $0.summary) })
    return text + "\n'\(program) help COMMAND' says more about one command, with examples.\n"
  }

  /// The help of one command: usage, details, arguments, options, examples.
  public func helpText(for command: CommandDeclaration) -> String {
    let usage = ([program] + command.path + command.positionals.map(\.usage) + ["[OPTIONS]"]).joined(separator: " ")
    var text = "\(program) \(command.name): \(command.summary)\n\nusage: \(usage)\n"
    if !command.details.isEmpty { text += "\n\(command.details)\n" }
    if !command.positionals.isEmpty {
      text += "\narguments:\n" + Self.columns(command.positionals.map { ($0.name, $0.help) })
    }
    text += "\noptions:\n" + Self.columns((command.options + commonOptions).map { (Self.usage(of: $0), Self.help(of: $0)) })
    if !command.examples.isEmpty {
      text += "\nexamples:\n"
      for example in command.examples { text += "  \(example.line)\n      \(example.meaning)\n" }
    }
    return text
  }

  func helpText(ofGroup path: [String], _ group: [CommandDeclaration]) -> String {
    let name = path.joined(separator: " ")
    return "usage: \(program) \(name) COMMAND [OPTIONS]\n\ncommands:\n" + Self.columns(group.map { ($0.name, $0.summary) })
      + "\n'\(program) help \(name) COMMAND' says more about one command, with examples.\n"
  }

  static func usage(of option: OptionDeclaration) -> String {
    let short = option.short.map { "-\($0), " } ?? ""
    return "\(short)--\(option.name)" + (option.placeholder.isEmpty ? "" : " \(option.placeholder)")
  }

  static func help(of option: OptionDeclaration) -> String {
    var notes: [String] = []
    if option.isRequired { notes.append("required") }
    if option.isRepeated { notes.append("may be repeated") }
    if let defaultText = option.defaultText { notes.append("default \(defaultText)") }
    return notes.isEmpty ? option.help : "\(option.help) (\(notes.joined(separator: ", ")))"
  }

  /// Two columns; a long left side gets a line of its own.
  static func columns(_ rows: [(String, String)]) -> String {
    let limit = 34
    let width = rows.map(\.0.count).filter { $0 <= limit }.max() ?? 0
    return rows.reduce("") { text, row in
      let padding = String(repeating: " ", count: row.0.count <= width ? width - row.0.count : width + 3)
      let separator = row.0.count <= width ? padding : "\n" + padding.dropLast()
      return text + "  \(row.0)\(separator)  \(row.1)\n"
    }
  }
}
