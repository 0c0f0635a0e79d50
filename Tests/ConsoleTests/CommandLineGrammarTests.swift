import Testing

@testable import Console

@Suite struct CommandLineGrammarTests {
  static let grammar = CommandLineGrammar(
    program: "keelson", summary: "replicated block storage",
    commands: [
      CommandDeclaration(
        ["volume", "create"], summary: "create a volume", positionals: [PositionalDeclaration("NAME", help: "what to call it")],
        options: [
          OptionDeclaration("size", .size, isRequired: true, help: "how large"),
          OptionDeclaration("replicas", .integer(1...5), defaultText: "2", help: "how many copies"),
          OptionDeclaration("wait", .duration, defaultText: "60s", help: "how long to wait"),
          OptionDeclaration("no-wait", .flag, help: "do not wait"),
        ],
        examples: [.init("keelson volume create db --size 1GiB", "creates a volume on two nodes")]),
      CommandDeclaration(["volume", "list"], summary: "list volumes"),
      CommandDeclaration(
        ["dev"], summary: "run everything",
        options: [
          OptionDeclaration("pool", .text("SPEC"), isRepeated: true, help: "a pool"),
          OptionDeclaration("dir", .text("DIR"), short: "d", help: "where"),
        ]),
      CommandDeclaration(
        ["bench"], summary: "measure", positionals: [PositionalDeclaration("TARGET", .repeated, help: "what to measure")],
        options: [OptionDeclaration("rw", .choice(["read", "write", "randread"]), defaultText: "randread", help: "what to do")]),
    ])

  private func run(_ line: String) throws -> ParsedArguments {
    guard case .run(let arguments) = try Self.grammar.parse(line.split(separator: " ").map(String.init)) else {
      throw CommandError("test", "not a command: \(line)")
    }
    return arguments
  }

  private func failure(_ line: String) -> CommandError? {
    do {
      _ = try Self.grammar.parse(line.split(separator: " ").map(String.init))
      return nil
    } catch {
      return error
    }
  }

  @Test func optionsInEveryForm() throws {
    let arguments = try run("volume create --size 1GiB db --replicas=3 --no-wait --output json")
    #expect(arguments.command.name == "volume create")
    #expect(arguments.positional("NAME") == "db")
    #expect(arguments.sizeBytes("size") == 1 << 30)
    #expect(arguments.integer("replicas") == 3)
    #expect(arguments.flag("no-wait"))
    #expect(arguments.durationNanoseconds("wait") == 60_000_000_000)
    #expect(!arguments.isGiven("wait"))
    #expect(arguments.outputMode == .json)
  }

  @Test func repeatedAndShortOptions() throws {
    let arguments = try run("dev --pool mem:512MiB --pool=a=b -d/tmp/x -o json")
    #expect(arguments.texts("pool") == ["mem:512MiB", "a=b"])
    #expect(arguments.text("dir") == "/tmp/x")
    #expect(arguments.outputMode == .json)
    #expect(try run("dev").texts("pool") == [])
    #expect(try run("dev -d=/a").text("dir") == "/a")
  }

  @Test func repeatedPositionalsAndTheDoubleDash() throws {
    let arguments = try run("bench a --rw read b -- --rw -")
    #expect(arguments.repeatedPositionals("TARGET") == ["a", "b", "--rw", "-"])
    #expect(arguments.text("rw") == "read")
  }

  @Test(arguments: [
    ("volume create db --sise 1GiB", "'volume create' has no option '--sise'", "Did you mean '--size'?"),
    ("volume create db --xyzzy", "'volume create' has no option '--xyzzy'", "See 'keelson volume create --help'."),
    ("volume create db -x", "'volume create' has no option '-x'", "See 'keelson volume create --help'."),
    ("volume create db", "'volume create' needs --size SIZE", "See 'keelson volume create --help'."),
    ("volume create --size 1k", "'volume create' needs NAME: what to call it", "See 'keelson volume create --help'."),
    ("volume create a b --size 1k", "'volume create' does not take 'b'", "See 'keelson volume create --help'."),
    ("volume create db --size", "--size needs a value: --size SIZE", "See 'keelson volume create --help'."),
    ("volume create db --size --no-wait", "--size needs a value: --size SIZE", "See 'keelson volume create --help'."),
    ("volume create db --size 1k --size 2k", "--size is given twice", "See 'keelson volume create --help'."),
    ("volume create db --no-wait=yes", "--no-wait takes no value, but 'yes' was given", "See 'keelson volume create --help'."),
    (
      "volume create db --size 1MB", "--size is '1MB', and decimal units are refused because they are read in two ways",
      "Write a binary unit: 1MiB."
    ),
    (
      "volume create db --size big", "--size takes a size, but 'big' was given",
      "Write whole numbers with a binary unit: 4k, 512MiB, 20GiB."
    ),
    ("volume create db --replicas 9", "--replicas is 9, but must be from 1 to 5", ""),
    ("volume create db --replicas two", "--replicas takes a whole number, but 'two' was given", ""),
    ("volume create db --wait soon", "--wait takes a time, but 'soon' was given", "Write a number with a unit: 500ms, 60s, 2m, 1h."),
    ("bench x --rw raed", "--rw is 'raed', but must be one of: read, write, randread", "Did you mean 'read'?"),
    ("bench", "'bench' needs TARGET: what to measure", "See 'keelson bench --help'."),
    ("volme list", "'volme' is not a command", "Did you mean 'volume'?"),
    ("volume lst", "'volume lst' is not a command", "Did you mean 'list'?"),
    ("volume", "'volume' needs one of: create, list", "See 'keelson help volume'."),
    ("frobnicate", "'frobnicate' is not a command", "'keelson help' lists all commands."),
    ("--output json dev", "'--output' stands before the command", "Write the command first: keelson COMMAND --output ..."),
  ])
  func usageErrors(line: String, message: String, hint: String) {
    #expect(failure(line) == CommandError("usage", message, hint: hint, exitStatus: .usage))
  }

  @Test func helpListsWhatIsDeclared() throws {
    guard case .help(let text) = try Self.grammar.parse(["volume", "create", "--help"]) else {
      Issue.record("no help")
      return
    }
    #expect(
      text == """
        keelson volume create: create a volume

        usage: keelson volume create NAME [OPTIONS]

        arguments:
          NAME  what to call it

        options:
          --size SIZE              how large (required)
          --replicas N             how many copies (default 2)
          --wait TIME              how long to wait (default 60s)
          --no-wait                do not wait
          -o, --output table|json  tables for people or JSON for programs (default table)

        examples:
          keelson volume create db --size 1GiB
              creates a volume on two nodes

        """)
  }

  @Test(arguments: [[], ["help"], ["--help"], ["-h"]] as [[String]])
  func programHelp(arguments: [String]) throws {
    guard case .help(let text) = try Self.grammar.parse(arguments) else {
      Issue.record("no help")
      return
    }
    for command in Self.grammar.commands { #expect(text.contains("  \(command.name) ") && text.contains(command.summary)) }
  }

  @Test func helpOfAGroupAndOfAnUnknownCommand() throws {
    #expect(try Self.grammar.help(for: ["volume"]).contains("volume list"))
    #expect(!(try Self.grammar.help(for: ["volume"])).contains("bench"))
    #expect(throws: CommandError.self) { try Self.grammar.help(for: ["nothing"]) }
  }

  @Test func theOutputModeIsFoundInAWrongCommandLine() {
    #expect(OutputMode.requested(in: ["nonsense", "--output", "json"]) == .json)
    #expect(OutputMode.requested(in: ["--output=json", "--bad"]) == .json)
    #expect(OutputMode.requested(in: ["x", "-o", "json"]) == .json)
    #expect(OutputMode.requested(in: ["x", "--output"]) == .table)
    #expect(OutputMode.requested(in: ["x", "--", "--output=json"]) == .table)
  }
}
