import Console

extension Command {
  static let completion = Command(
    CommandDeclaration(
      ["completion"], summary: "print what makes a shell complete commands and options",
      positionals: [PositionalDeclaration("SHELL", help: "bash")],
      examples: [.init("keelson completion bash", "into /etc/bash_completion.d/keelson, or: source <(keelson completion bash)")])
  ) { arguments, _ in
    let shell = arguments.positional("SHELL") ?? ""
    if shell != "bash" { throw CommandError.usage("'\(shell)' is not known", hint: "Only bash is.") }
    Terminal.standardOutput.write(BashCompletion.script(for: Program.grammar))
    return .success
  }
}

/// A bash function that completes a program's commands, options and the words that options take.
enum BashCompletion {
  static func script(for grammar: CommandLineGrammar) -> String {
    var known: [String] = []
    var candidates: [(path: String, words: [String])] = []
    var choices: [(place: String, words: [String])] = []
    var paths: [[String]] = [[]]
    for command in grammar.commands {
      for length in 1...command.path.count where !paths.contains(Array(command.path.prefix(length))) {
        paths.append(Array(command.path.prefix(length)))
      }
    }
    for path in paths {
      var words: [String] = []
      for command in grammar.commands where command.path.count > path.count && command.path.starts(with: path) {
        let next = command.path[path.count]
        if !words.contains(next) { words.append(next) }
      }
      let name = path.joined(separator: " ")
      if let command = grammar.commands.first(where: { $0.path == path }) {
        for option in command.options + grammar.commonOptions {
          words.append("--\(option.name)")
          if case .choice(let values) = option.kind { choices.append(("\(name) --\(option.name)", values)) }
        }
        words.append("--help")
      }
      if !path.isEmpty { known.append("\"\(name)\"") }
      candidates.append((name, words))
    }
    let program = grammar.program
    var text = "# bash completion of \(program)\n_\(program)() {\n"
    text += "  local current=\"${COMP_WORDS[COMP_CWORD]}\" previous=\"${COMP_WORDS[COMP_CWORD-1]}\" path=\"\" word index words=\"\"\n"
    text += "  for ((index = 1; index < COMP_CWORD; index++)); do\n    word=\"${COMP_WORDS[index]}\"\n"
    text +=
      "    case \"${path:+$path }$word\" in\n      \(known.joined(separator: "|"))) path=\"${path:+$path }$word\" ;;\n      *) break ;;\n    esac\n  done\n"
    text += "  case \"$path\" in\n"
    for (path, words) in candidates { text += "    \"\(path)\") words=\"\(words.joined(separator: " "))\" ;;\n" }
    text += "  esac\n  case \"$path $previous\" in\n"
    for (place, words) in choices { text += "    \"\(place)\") words=\"\(words.joined(separator: " "))\" ;;\n" }
    text += "  esac\n  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n}\ncomplete -o default -F _\(program) \(program)\n"
    return text
  }
}
