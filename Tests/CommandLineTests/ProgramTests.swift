import Console
import Control
import Foundation
import Testing

@testable import keelson

@Suite struct ProgramTests {
  private func parsed(_ words: String...) throws -> ParsedArguments {
    guard case .run(let arguments) = try Program.grammar.parse(words) else { throw CommandError("help", "help was asked for") }
    return arguments
  }

  /// The error that a command line ends with, without anything having been done.
  private func refusal(_ words: String...) -> CommandError? {
    do {
      guard case .run(let arguments) = try Program.grammar.parse(words) else { return nil }
      let command = Program.commands.first { $0.declaration.path == arguments.command.path }
      _ = try command?.run(arguments, CommandOutput(program: "keelson", mode: .json, output: Terminal(fileDescriptor: -1)))
      return nil
    } catch { return error }
  }

  @Test func `every command has help with its examples`() throws {
    for command in Program.commands {
      let text = try Program.grammar.help(for: command.declaration.path)
      #expect(text.contains(command.declaration.summary))
      for example in command.declaration.examples {
        #expect(text.contains(example.line))
        #expect(example.line.hasPrefix("keelson \(command.declaration.name)"))
      }
    }
  }

  @Test func `examples are command lines that the grammar takes`() throws {
    for command in Program.commands {
      for example in command.declaration.examples where !example.line.contains("...") {
        let words = example.line.split(separator: " ").dropFirst().map(String.init)
        guard case .run(let arguments) = try Program.grammar.parse(words) else {
          Issue.record("\(example.line) asks for help")
          continue
        }
        #expect(arguments.command.path == command.declaration.path)
      }
    }
  }

  @Test func `wrong command lines are refused as such`() {
    #expect(refusal("volume", "create", "Bad_Name", "--size", "1GiB")?.exitStatus == .usage)
    #expect(refusal("volume", "create", "x", "--size", "1GB")?.exitStatus == .usage)
    #expect(refusal("volume", "create", "x", "--size", "1000")?.exitStatus == .usage)
    #expect(refusal("volume", "create", "x")?.exitStatus == .usage)
    #expect(refusal("volume", "create", "x", "--size", "1GiB", "--replicas", "4")?.exitStatus == .usage)
    #expect(refusal("bench", "nvme-tcp://[::1")?.exitStatus == .usage)
    #expect(refusal("bench", "nvme-tcp://h:1/x", "--rw", "reed")?.hint == "Did you mean 'read'?")
    #expect(refusal("volume", "list", "--store", "sqlite:/x", "--dir", "/y")?.exitStatus == .usage)
    #expect(refusal("volume", "list", "--store", "nonsense")?.exitStatus == .usage)
    #expect(refusal("dev", "--dir", "/nowhere", "--pool", "/dev/sdx")?.exitStatus == .usage)
    #expect(
      refusal("dev", "--dir", "/nowhere", "--pool", "mem:1MiB", "--integrity", "crc32c")?.message.contains("keeps no checksums") == true)
    #expect(
      refusal(
        "node", "--name", "a", "--store", "sqlite:/x", "--listen", "127.0.0.1:1", "--pool", "mem:1MiB", "--integrity", "crc32c")?.message
        .contains("keeps no checksums") == true)
    #expect(refusal("dev", "--dir", "/nowhere", "--nodes", "3", "--port", "65534")?.exitStatus == .usage)
    #expect(refusal("dev", "--dir", "/nowhere", "--advertise", "10.0.0.1:4420")?.exitStatus == .usage)
    #expect(
      refusal("node", "--name", "controller", "--store", "sqlite:/x", "--listen", "127.0.0.1:1")?.exitStatus == .usage)
    #expect(
      refusal("node", "--name", "a", "--store", "sqlite:/x", "--listen", "127.0.0.1:1", "--pool", "mem:1MiB,mem:2MiB")?.message
        == "two pools are called 'memory'")
    #expect(
      refusal("node", "--name", "a", "--store", "sqlite:/x", "--listen", "127.0.0.1:1", "--reactors", "2", "--processors", "1")?.exitStatus
        == .usage)
  }

  @Test func `without a store, commands say how to get one`() {
    let error = refusal("status", "--dir", "/nowhere/at/all")
    #expect(error?.code == "dev_not_found" && error?.exitStatus == .failed)
    #expect(error?.hint.contains("keelson dev --dir /nowhere/at/all") == true)
    #expect(refusal("status", "--store", "sqlite:/nowhere/at/all")?.code == "store_not_found")
  }

  @Test func `errors of the modules keep their codes and statuses`() {
    #expect(CommandError(describing: VolumeRequests.Failure.notFound(name: "x")).exitStatus == .notFound)
    #expect(CommandError(describing: VolumeRequests.Failure.exists(name: "x")).code == "volume_exists")
    let running = DevError.alreadyRunning(path: "/d", processID: 7)
    #expect(CommandError(describing: running).hint == running.hint)
    #expect(CommandError(describing: StoreError.closed).exitStatus == .failed)
    #expect(CommandError(describing: CommandError.timeout("late")).exitStatus == .timeout)
  }

  @Test func `pools of a node in one option or several`() throws {
    let arguments = try parsed(
      "node", "--name", "a", "--store", "sqlite:/x", "--listen", "127.0.0.1:1", "--pool", "a=/p/a,/p/b.img", "--pool", "mem:1MiB",
      "--pool-size", "1GiB")
    let pools = try Command.pools(arguments)
    #expect(pools.map(\.text) == ["a=/p/a", "b=/p/b.img", "memory=mem:1MiB"])
    #expect(pools.allSatisfy { $0.createBytes == 1 << 30 })
  }
}
