import Console

/// The program: its commands, and the way from arguments to an exit status.
enum Program {
  static let name = "keelson"
  static let version = "0.1.0"

  static let commands: [Command] = [
    .dev, .node, .controller, .csiNode,
    .volumeCreate, .volumeList, .volumeShow, .volumeExplain, .volumePublish, .volumeUnpublish, .volumeMove, .volumeResize,
    .volumeDelete, .volumeSet, .volumeScrub, .volumeForce,
    .snapshotCreate, .snapshotList, .snapshotDelete,
    .rebuildList, .rebuildPause, .rebuildResume, .rebuildThrottle,
    .poolCreate, .poolList, .poolShow, .poolCheck, .poolGrow, .poolSet, .poolLimit, .poolDestroy, .poolBench,
    .replicaList, .replicaDiscard,
    .nodeList, .nodeCordon, .nodeUncordon, .nodeLabel, .nodeDrain,
    .status, .top, .events, .get, .export, .importState, .recover, .storeInitRoles, .bench,
    .completion, .version,
  ]

  static let grammar = CommandLineGrammar(
    program: name, summary: "replicated block storage over NVMe/TCP", commands: commands.map(\.declaration))

  static func run(_ arguments: [String]) -> ExitStatus {
    let output = CommandOutput(program: name, mode: OutputMode.requested(in: arguments))
    do throws(CommandError) {
      switch try grammar.parse(arguments.first == "--version" ? ["version"] : arguments) {
      case .help(let text):
        Terminal.standardOutput.write(text)
        return .success
      case .run(let parsed):
        guard let command = commands.first(where: { $0.declaration.path == parsed.command.path }) else {
          preconditionFailure("the grammar knows commands that the program does not")
        }
        return try command.run(parsed, output)
      }
    } catch {
      return output.write(error)
    }
  }
}

/// A command: how it is called, and what it does.
struct Command: Sendable {
  let declaration: CommandDeclaration
  private let body: @Sendable (ParsedArguments, CommandOutput) throws -> ExitStatus

  init(_ declaration: CommandDeclaration, _ body: @escaping @Sendable (ParsedArguments, CommandOutput) throws -> ExitStatus) {
    self.declaration = declaration
    self.body = body
  }

  func run(_ arguments: ParsedArguments, _ output: CommandOutput) throws(CommandError) -> ExitStatus {
    do {
      return try body(arguments, output)
    } catch {
      throw CommandError(describing: error)
    }
  }
}
