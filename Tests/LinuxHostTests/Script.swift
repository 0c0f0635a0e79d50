import Foundation

/// A shell script of the repository, run as its users run it, with a time limit and with its output kept.
struct Script {
  struct Result {
    /// The script's exit status; 124 when its time was up.
    var status: Int32
    /// What it wrote to standard output and standard error, in order.
    var output: String
  }

  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// Runs `path` (relative to the repository's root) in bash without blocking the calling thread. When the limit is reached
  /// the script is asked to end, and 30 seconds later it is killed.
  static func run(_ path: String, _ arguments: [String] = [], limitSeconds: Int) async throws -> Result {
    let log = FileManager.default.temporaryDirectory.appending(path: "keelson-script-\(UUID().uuidString).log")
    try Data().write(to: log)
    defer { try? FileManager.default.removeItem(at: log) }
    let handle = try FileHandle(forWritingTo: log)
    defer { try? handle.close() }
    let process = Process()
    // The threads that tests run on block signals, and a child would go on with that: it could not be asked to end.
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments =
      ["--default-signal", "timeout", "--kill-after=30", "\(limitSeconds)", "bash", root.appending(path: path).path] + arguments
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = handle
    process.standardError = handle
    let status = try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Int32, any Error>) in
      process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
      do { try process.run() } catch {
        process.terminationHandler = nil
        continuation.resume(throwing: error)
      }
    }
    return Result(status: status, output: String(decoding: try Data(contentsOf: log), as: UTF8.self))
  }

  /// Writes a guest script to a temporary file, hands its path to `body` and removes it.
  static func withGuestScript<Value>(_ text: String, _ body: (String) async throws -> Value) async throws -> Value {
    let file = FileManager.default.temporaryDirectory.appending(path: "keelson-guest-\(UUID().uuidString).sh")
    try ("#!/bin/bash\n. /guest/library.sh\n" + text).write(to: file, atomically: true, encoding: .utf8)
    defer { try? FileManager.default.removeItem(at: file) }
    return try await body(file.path)
  }
}
