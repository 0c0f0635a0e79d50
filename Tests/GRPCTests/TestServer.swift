import Foundation
import Protobuf
import Synchronization
import Testing

@testable import GRPC

/// A message of the tests' service: some bytes and a number.
struct Parcel: ProtobufMessage {
  var bytes: [UInt8] = []
  var number: Int64 = 0
  var unknownFields = UnknownFields()

  init() {}

  init(bytes: [UInt8] = [], number: Int64 = 0) {
    self.bytes = bytes
    self.number = number
  }

  mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: bytes = try field.bytes()
    case 2: number = try field.int64()
    default: return false
    }
    return true
  }

  func encode(into writer: inout WireWriter) {
    writer.bytes(1, bytes)
    writer.int64(2, number)
  }
}

/// A server with a method of each behaviour, on a unix socket of its own.
final class TestServer: Sendable {
  let path: String
  /// The socket's own folder, if it has one.
  private let directory: String?
  let server: GRPCServer
  let health = GRPCHealth()
  /// Calls of `Hang` that began, and that were cancelled.
  let hanging = Mutex((begun: 0, cancelled: 0))
  /// Answers that `Count` has sent.
  let counted = Mutex(0)

  init(_ options: GRPCServer.Options = GRPCServer.Options(), path: String? = nil) throws {
    let directory = FileManager.default.temporaryDirectory.path + "/keelson-grpc-\(UUID().uuidString.prefix(8))"
    if path == nil { try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true) }
    self.directory = path == nil ? directory : nil
    self.path = path ?? directory + "/s.sock"
    let box = Box()
    var handlers = health.handlers
    handlers["/test.Parcels/Echo"] = GRPCServer.unary { (request: Parcel, call) in
      if let seconds = call.metadata["x-pause"].flatMap(Double.init) { try await Task.sleep(for: .seconds(seconds)) }
      return request
    }
    handlers["/test.Parcels/Fail"] = GRPCServer.unary { (request: Parcel, _) -> Parcel in
      throw GRPCError(GRPCCode(rawValue: Int(request.number)) ?? .unknown, "kaputt: 100 % größer\n")
    }
    handlers["/test.Parcels/Hang"] = GRPCServer.unary { (request: Parcel, _) -> Parcel in
      box.owner?.hanging.withLock { $0.begun += 1 }
      do {
        try await Task.sleep(for: .seconds(60))
      } catch {
        box.owner?.hanging.withLock { $0.cancelled += 1 }
        throw error
      }
      return request
    }
    handlers["/test.Parcels/Count"] = GRPCServer.serverStreaming {
      (request: Parcel, _, send: @Sendable (Parcel) async throws -> Void) in
      for number in 0..<max(0, request.number) {
        try await send(Parcel(bytes: request.bytes, number: number))
        box.owner?.counted.withLock { $0 += 1 }
      }
    }
    handlers["/test.Parcels/Chat"] = { call in
      while let message = try await call.next() { try await call.send(message) }
    }
    server = try GRPCServer(handlers: handlers, options: options)
    box.owner = self
    try server.listen(on: .unix(path: self.path))
  }

  deinit { if let directory { try? FileManager.default.removeItem(atPath: directory) } }

  func channel(_ change: (inout GRPCChannel.Options) -> Void = { _ in }) throws -> GRPCChannel {
    var options = GRPCChannel.Options()
    change(&options)
    return try GRPCChannel(endpoints: [.unix(path: path)], options: options)
  }

  private final class Box: @unchecked Sendable { weak var owner: TestServer? }
}

/// Runs what blocks on a thread of its own: the server's handlers need the tasks' threads.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
  try await withCheckedThrowingContinuation { continuation in
    Thread { continuation.resume(with: Result { try body() }) }.start()
  }
}

/// Waits for something that another thread does; false if it does not happen.
func eventually(_ condition: () -> Bool) async throws -> Bool {
  for _ in 0..<3_000 {
    if condition() { return true }
    try await Task.sleep(for: .milliseconds(10))
  }
  return false
}

let secondNanoseconds: UInt64 = 1_000_000_000
/// Enough for anything that is to happen at all: other tests keep all threads of tasks busy for minutes.
let patienceNanoseconds: UInt64 = 900 * secondNanoseconds
