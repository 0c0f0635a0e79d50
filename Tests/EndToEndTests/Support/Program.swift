import Foundation
import Testing

/// The release binary, run as its users run it.
enum Program {
  /// `KEELSON_BINARY`, else what a release build left in the repository.
  static let path: String = {
    let given = unsafe getenv("KEELSON_BINARY").map { unsafe String(cString: $0) } ?? ""
    if !given.isEmpty { return given }
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    return root.appending(path: ".build/release/keelson").path
  }()

  struct Missing: Error, CustomStringConvertible {
    var description: String { "there is no program \(Program.path); build it: swift build -c release --product keelson" }
  }

  /// How a command ended and what it wrote.
  struct Outcome: Sendable {
    var status: Int32
    var output: String
    var errors: String

    /// Standard output as JSON.
    func json() throws -> JSON { try JSON(output) }
  }

  /// Runs `keelson` with `arguments` and waits for its end, `limitSeconds` at most: then it is killed, and the status is 124 or 137.
  static func run(_ arguments: [String], environment: [String: String] = [:], limitSeconds: Int = 90) async throws -> Outcome {
    let running = try start(
      "/usr/bin/timeout", ["--kill-after=5", "\(limitSeconds)", path] + arguments, environment: environment)
    return try await running.outcome()
  }

  /// A process that was started, and where its output goes.
  final class Running: Sendable {
    let processID: Int32
    private let folder: URL
    private let end: Task<Int32, Never>

    fileprivate init(processID: Int32, folder: URL, end: Task<Int32, Never>) {
      self.processID = processID
      self.folder = folder
      self.end = end
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    var output: String { (try? String(contentsOf: folder.appending(path: "output"), encoding: .utf8)) ?? "" }
    var errors: String { (try? String(contentsOf: folder.appending(path: "errors"), encoding: .utf8)) ?? "" }

    /// Waits for the end.
    func status() async -> Int32 { await end.value }

    func outcome() async throws -> Outcome {
      let status = await end.value
      return Outcome(status: status, output: output, errors: errors)
    }

    func send(_ signal: Int32) { kill(processID, signal) }
  }

  /// Starts a program without waiting. Its standard input is empty.
  static func start(_ program: String, _ arguments: [String], environment: [String: String] = [:]) throws -> Running {
    guard FileManager.default.isExecutableFile(atPath: path) else { throw Missing() }
    let folder = FileManager.default.temporaryDirectory.appending(path: "keelson-run-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for name in ["output", "errors"] { try Data().write(to: folder.appending(path: name)) }
    let process = Process()
    process.executableURL = URL(filePath: program)
    process.arguments = arguments
    var variables = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("KEELSON_") }
    variables.merge(environment) { $1 }
    process.environment = variables
    process.standardInput = FileHandle.nullDevice
    let handles = try ["output", "errors"].map { try FileHandle(forWritingTo: folder.appending(path: $0)) }
    process.standardOutput = handles[0]
    process.standardError = handles[1]
    let (ends, continuation) = AsyncStream.makeStream(of: Int32.self)
    process.terminationHandler = {
      // As a shell says it.
      continuation.yield($0.terminationReason == .exit ? $0.terminationStatus : 128 + $0.terminationStatus)
      continuation.finish()
    }
    try process.run()
    for handle in handles { try handle.close() }
    let end = Task {
      for await status in ends { return status }
      return -1
    }
    return Running(processID: process.processIdentifier, folder: folder, end: end)
  }
}

/// Waits, looking every 50 ms, until `condition` gives a value; throws after `limitSeconds`.
@discardableResult
func eventually<Value>(
  _ what: String, limitSeconds: Double = 30, _ condition: () async throws -> Value?
) async throws -> Value {
  let deadline = ContinuousClock.now + .seconds(limitSeconds)
  while ContinuousClock.now < deadline {
    if let value = try await condition() { return value }
    try await Task.sleep(for: .milliseconds(50))
  }
  throw TimedOut(description: "waited \(limitSeconds) s in vain: \(what)")
}

struct TimedOut: Error, CustomStringConvertible {
  let description: String
}
