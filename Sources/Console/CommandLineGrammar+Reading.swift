extension CommandLineGrammar {
  /// Sorts the words behind a command's path into options and positional arguments, and checks them against the declaration.
  func read(_ words: [String], for command: CommandDeclaration) throws(CommandError) -> ParsedArguments {
    let options = command.options + commonOptions
    var values: [ParsedArguments.Given] = []
    var positionals: [String] = []
    var index = 0
    var onlyPositionals = false
    while index < words.count {
      let word = words[index]
      index += 1
      if onlyPositionals || word == "-" || !word.hasPrefix("-") {
        positionals.append(word)
        continue
      }
      if word == "--" {
        onlyPositionals = true
        continue
      }
      let (option, attached) = try declared(word, in: options, of: command)
      if !option.isRepeated && values.contains(where: { $0.name == option.name }) {
        throw .usage("--\(option.name) is given twice", hint: seeHelp(command))
      }
      if option.kind == .flag {
        if let attached { throw .usage("--\(option.name) takes no value, but '\(attached)' was given", hint: seeHelp(command)) }
        values.append(.init(name: option.name, value: nil))
        continue
      }
      var text = attached
      if text == nil && index < words.count && !words[index].hasPrefix("--") {
        text = words[index]
        index += 1
      }
      guard let text else { throw .usage("--\(option.name) needs a value: --\(option.name) \(option.placeholder)", hint: seeHelp(command)) }
      values.append(.init(name: option.name, value: try option.value(of: text)))
    }
    for option in options where option.isRequired && !values.contains(where: { $0.name == option.name }) {
      throw .usage("'\(command.name)' needs --\(option.name) \(option.placeholder)", hint: seeHelp(command))
    }
    try check(positionals, against: command)
    return ParsedArguments(command: command, options: options, values: values, positionals: positionals)
  }

  private func seeHelp(_ command: CommandDeclaration) -> String { "See '\(program) \(command.name) --help'." }

  /// The option that `--name`, `--name=value`, `-n` or `-nVALUE` names, and the value attached to it.
  private func declared(
    _ word: String, in options: [OptionDeclaration], of command: CommandDeclaration
  ) throws(CommandError) -> (OptionDeclaration, String?) {
    if !word.hasPrefix("--") {
      let letter = word.dropFirst().first
      guard let option = options.first(where: { $0.short != nil && $0.short == letter }) else {
        throw .usage("'\(command.name)' has no option '\(word)'", hint: seeHelp(command))
      }
      let rest = word.dropFirst(2)
      return (option, rest.isEmpty ? nil : String(rest.first == "=" ? rest.dropFirst() : rest))
    }
    let body = word.dropFirst(2)
    let name = String(body.prefix { $0 != "=" })
    guard let option = options.first(where: { $0.name == name }) else {
      let names = options.map(\.name)
      let suggestion = Suggestion.sentence(for: name, among: names, prefix: "--")
      throw .usage("'\(command.name)' has no option '--\(name)'", hint: suggestion.isEmpty ? seeHelp(command) : suggestion)
    }
    return (option, name.count == body.count ? nil : String(body.dropFirst(name.count + 1)))
  }

  private func check(_ given: [String], against command: CommandDeclaration) throws(CommandError) {
    let declared = command.positionals
    for (index, positional) in declared.enumerated() where index >= given.count {
      if positional.arity == .required || positional.arity == .repeated {
        throw .usage("'\(command.name)' needs \(positional.name): \(positional.help)", hint: seeHelp(command))
      }
    }
    let takesMany = declared.last.map { $0.arity == .repeated || $0.arity == .repeatedOrNone } ?? false
    if given.count > declared.count && !takesMany {
      throw .usage("'\(command.name)' does not take '\(given[declared.count])'", hint: seeHelp(command))
    }
  }
}
