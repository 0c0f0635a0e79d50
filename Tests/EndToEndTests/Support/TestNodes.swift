import Foundation
import Glibc
import Testing

/// The nodes of a `keelson dev` that was stopped, run one by one: nobody starts them again but the test.
final class TestNodes {
  private let dev: TestDev
  private let arguments: [String: [String]]
  private var running: [String: Program.Running] = [:]
  let names: [String]

  /// Stops `dev` and takes over its nodes. With `isDrill` their pools lose what is not flushed when the node is killed.
  init(of dev: TestDev, isDrill: Bool = false) async throws {
    self.dev = dev
    var found: [String: [String]] = [:]
    for process in Machine.processes(with: dev.directory) {
      guard let flag = process.arguments.firstIndex(of: "--name") else { continue }
      let name = process.arguments[flag + 1]
      found[name] = process.arguments.dropFirst().filter { $0 != "--stop-with-stdin" }
        .map { isDrill ? $0.replacingOccurrences(of: "=\(dev.poolPath(name))", with: "=drill:\(dev.poolPath(name))") : $0 }
    }
    try #require(found.count == dev.nodeCount)
    if isDrill { try #require(found.values.allSatisfy { $0.contains { $0.contains("=drill:") } }) }
    arguments = found
    names = found.keys.sorted()
    #expect(try await dev.stop() == 0)
  }

  func start(_ name: String, withPools: Bool = true) throws {
    var words = arguments[name]!
    while !withPools, let pool = words.firstIndex(of: "--pool") { words.removeSubrange(pool...pool + 1) }
    running[name] = try Program.start("/usr/bin/timeout", ["--foreground", "--kill-after=5", "1500", Program.path] + words)
  }

  func startAll() throws { for name in names where running[name] == nil { try start(name) } }

  private func process(_ name: String) -> Int32? {
    Machine.processes(with: dev.directory).first {
      $0.arguments.contains("--name") && $0.arguments.contains(name) && !$0.arguments[0].hasSuffix("timeout")
    }?.processID
  }

  func send(_ signal: Int32, to nodes: [String]) { for process in nodes.compactMap({ process($0) }) { kill(process, signal) } }

  /// `kill -9` of all of them at once: nobody acts on another's end.
  func kill9(_ nodes: [String]) async {
    let processes = nodes.compactMap { process($0) }
    for process in processes { kill(process, SIGSTOP) }
    for process in processes { kill(process, SIGKILL) }
    for node in nodes {
      _ = await running[node]?.status()
      running[node] = nil
    }
  }

  /// Ends all in order, and returns what they had to say.
  func stopAll() async -> String {
    send(SIGTERM, to: names)
    var log = ""
    for name in names {
      guard let process = running[name] else { continue }
      let status = await process.status()
      #expect(status == 0, "\(name) ended with \(status): \(process.errors.suffix(2000))")
      log += process.errors
      running[name] = nil
    }
    return log
  }

  /// What each said since it was started last.
  func logs() -> String { names.map { "--- \($0)\n\(running[$0]?.errors.suffix(6000) ?? "")" }.joined(separator: "\n") }
}
