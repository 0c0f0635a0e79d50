import Foundation
import Glibc
import Testing

/// One `keelson dev` in a folder of its own, with ports of its own.
final class TestDev: @unchecked Sendable {
  let directory: String
  let basePort: Int
  let nodeCount: Int
  private let options: [String]
  private var running: Program.Running?

  private init(nodeCount: Int, poolSize: String?, options: [String]) throws {
    directory = FileManager.default.temporaryDirectory.appending(path: "keelson-e2e-\(UUID().uuidString)").path
    basePort = try Machine.freePorts(nodeCount)
    self.nodeCount = nodeCount
    self.options = ["--nodes", "\(nodeCount)", "--port", "\(basePort)"] + (poolSize.map { ["--pool-size", $0] } ?? []) + options
  }

  /// Runs `body` with a `keelson dev` that is ready, and leaves nothing behind. What the nodes had to say comes with an error.
  static func with(
    nodes: Int = 3, poolSize: String? = "2GiB", options: [String] = [], _ body: (TestDev) async throws -> Void
  ) async throws {
    let dev = try TestDev(nodeCount: nodes, poolSize: poolSize, options: options)
    do {
      try await dev.start()
      try await body(dev)
    } catch {
      let logs = dev.logs(maximumLines: 400)
      await dev.destroy()
      Issue.record("\(error)\n\(logs)")
      return
    }
    await dev.destroy()
  }

  // MARK: Start and stop

  /// The command that runs it; its time is bounded, should this process end first.
  private var command: [String] { ["--kill-after=15", "300", Program.path, "dev", "--dir", directory] + options }

  /// Starts it and waits until it says that it is ready.
  func start() async throws {
    let started = try Program.start("/usr/bin/timeout", command)
    running = started
    try await eventually("keelson dev says ready", limitSeconds: 70) { () -> Bool? in
      if started.output.contains("ready\n") { return true }
      if self.hasEnded { throw TimedOut(description: "keelson dev ended: \(started.output)\(started.errors)") }
      return nil
    }
    #expect(started.output == "ready\n", "the only line on standard output")
  }

  private var hasEnded: Bool { running.map { kill($0.processID, 0) != 0 } ?? true }

  /// The process of `keelson dev` itself.
  var processID: Int32 {
    get throws {
      let text = try String(contentsOfFile: directory + "/dev.lock", encoding: .utf8)
      return try #require(Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)))
    }
  }

  /// Asks it to end, waits, and returns its exit status.
  func stop() async throws -> Int32 {
    kill(try processID, SIGTERM)
    let status = await running?.status() ?? -1
    running = nil
    return status
  }

  /// `kill -9` of all processes at once.
  func killEverything() async throws {
    let all = Machine.processes(with: directory).filter { !$0.arguments[0].hasSuffix("timeout") }
    try #require(all.count == nodeCount + 1)
    // Stopped first: nobody acts on another's end.
    for process in all { kill(process.processID, SIGSTOP) }
    for process in all { kill(process.processID, SIGKILL) }
    _ = await running?.status()
    running = nil
  }

  /// Keeps it from starting nodes again, until `resumeSupervisor`.
  func pauseSupervisor() throws { kill(try processID, SIGSTOP) }
  func resumeSupervisor() throws { kill(try processID, SIGCONT) }

  /// `kill -9` of `keelson dev`, and not of its nodes.
  func killSupervisor() async throws {
    kill(try processID, SIGKILL)
    _ = await running?.status()
    running = nil
  }

  private func destroy() async {
    if running != nil { try? resumeSupervisor() }
    if running != nil, (try? await stop()) == nil { running?.send(SIGTERM) }
    for process in Machine.processes(with: directory) { kill(process.processID, SIGKILL) }
    try? FileManager.default.removeItem(atPath: directory)
  }

  /// The ends of the logs.
  func logs(maximumLines: Int) -> String {
    let names = ((try? FileManager.default.contentsOfDirectory(atPath: directory + "/logs")) ?? []).sorted()
    let parts = names.map { name in
      let text = (try? String(contentsOfFile: directory + "/logs/\(name)", encoding: .utf8)) ?? ""
      return "--- \(name)\n" + text.split(separator: "\n").suffix(maximumLines).joined(separator: "\n")
    }
    return "--- keelson dev\n\(running?.errors ?? "")\n" + parts.joined(separator: "\n")
  }

  func log(of node: String) -> String { (try? String(contentsOfFile: directory + "/logs/\(node).log", encoding: .utf8)) ?? "" }

  // MARK: Commands

  /// A command that finds this one through the environment.
  func run(_ arguments: String..., limitSeconds: Int = 90) async throws -> Program.Outcome {
    try await Program.run(arguments, environment: ["KEELSON_DIR": directory], limitSeconds: limitSeconds)
  }

  /// Starts a command without waiting.
  func begin(_ arguments: String...) throws -> Program.Running { try begin(arguments: arguments) }

  func begin(arguments: [String]) throws -> Program.Running {
    try Program.start("/usr/bin/timeout", ["--kill-after=5", "90", Program.path] + arguments, environment: ["KEELSON_DIR": directory])
  }

  /// What a command prints as JSON; it must succeed.
  func json(_ arguments: String...) async throws -> JSON {
    let outcome = try await Program.run(arguments + ["--output", "json"], environment: ["KEELSON_DIR": directory])
    guard outcome.status == 0 else {
      throw TimedOut(description: "\(arguments) ended with \(outcome.status): \(outcome.output)\(outcome.errors)")
    }
    return try outcome.json()
  }

  func create(_ name: String, size: String = "64MiB", replicas: Int = 2, blockSize: Int = 512) async throws -> JSON {
    try await json("volume", "create", name, "--size", size, "--replicas", "\(replicas)", "--block-size", "\(blockSize)")
  }

  func volume(_ name: String) async throws -> JSON { try await json("volume", "show", name) }

  /// Waits until the volume says `state`.
  @discardableResult func await(_ state: String, of name: String, limitSeconds: Double = 40) async throws -> JSON {
    var last = JSON.missing
    do {
      return try await eventually("volume \(name) is \(state)", limitSeconds: limitSeconds) {
        last = try await volume(name)
        return last["state"].string == state ? last : nil
      }
    } catch let error as TimedOut {
      throw TimedOut(description: "\(error.description); it is \(last)")
    }
  }

  /// The rebuilds of a volume, the oldest first.
  func rebuilds(of name: String) async throws -> [JSON] { try await json("rebuild", "list", "--volume", name).array }

  /// The process of a node, as `node list` says.
  func process(of node: String) async throws -> Int32 {
    let nodes = try await json("node", "list").array
    let found = try #require(nodes.first { $0["name"].string == node })
    return Int32(try #require(found["pid"].int > 0 ? found["pid"].int : nil))
  }

  /// Waits until the node is ready with a process other than `old`.
  @discardableResult func awaitReturn(of node: String, after old: Int32) async throws -> Int32 {
    try await eventually("\(node) is back") {
      let nodes = try await json("node", "list").array
      guard let found = nodes.first(where: { $0["name"].string == node }), found["state"].string == "ready" else { return nil }
      return found["pid"].int > 0 && found["pid"].int != Int(old) ? Int32(found["pid"].int) : nil
    }
  }

  func poolPath(_ node: String) -> String { "\(directory)/\(node)/disk.pool" }
}

extension JSON {
  /// Of a volume: the node of its nexus.
  var nexusNode: String { self["nexus"]["node"].string }
  /// Of a volume: the nodes with replicas, the nexus's excepted.
  var otherNodes: [String] { self["replicas"].array.map { $0["node"].string }.filter { $0 != nexusNode } }

  func replicaState(on node: String) -> String {
    self["replicas"].array.first { $0["node"].string == node }?["state"].string ?? ""
  }
}
