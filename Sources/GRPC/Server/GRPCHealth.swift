import Protobuf
import Synchronization

/// The health service (grpc.health.v1, grpc/doc/health-checking.md): who asks learns whether a service of this process serves, and who
/// watches is told when that changes.
public final class GRPCHealth: Sendable {
  public enum Status: Int32, Sendable {
    case unknown = 0
    case serving = 1
    case notServing = 2
    case serviceUnknown = 3
  }

  private struct State {
    var statuses: [String: Status] = ["": .serving]
    var watchers: [UInt64: (service: String, continuation: AsyncStream<Status>.Continuation)] = [:]
    var lastWatcher: UInt64 = 0
  }

  private let state = Mutex(State())

  /// The process as a whole, named by the empty string, serves from the start.
  public init() {}

  public func set(_ service: String, _ status: Status) {
    state.withLock { state in
      state.statuses[service] = status
      for (_, watcher) in state.watchers where watcher.service == service { watcher.continuation.yield(status) }
    }
  }

  /// To be given to a server.
  public var handlers: [String: GRPCHandler] {
    [
      "/grpc.health.v1.Health/Check": GRPCServer.unary { (request: HealthCheckRequest, _) in
        guard let status = self.state.withLock({ $0.statuses[request.service] }) else {
          throw GRPCError(.notFound, "there is no service \(request.service.prefix(200)) here")
        }
        return HealthCheckResponse(status: status)
      },
      "/grpc.health.v1.Health/Watch": GRPCServer.serverStreaming {
        (request: HealthCheckRequest, _, send: @Sendable (HealthCheckResponse) async throws -> Void) in
        for await status in self.watch(request.service) { try await send(HealthCheckResponse(status: status)) }
      },
    ]
  }

  /// The status now and at every change; ends with the task.
  private func watch(_ service: String) -> AsyncStream<Status> {
    // Of changes that nobody took in time the last is enough.
    let (stream, continuation) = AsyncStream.makeStream(of: Status.self, bufferingPolicy: .bufferingNewest(1))
    let id = state.withLock { state in
      state.lastWatcher += 1
      state.watchers[state.lastWatcher] = (service, continuation)
      continuation.yield(state.statuses[service] ?? .serviceUnknown)
      return state.lastWatcher
    }
    continuation.onTermination = { [weak self] _ in self?.state.withLock { _ = $0.watchers.removeValue(forKey: id) } }
    return stream
  }
}

struct HealthCheckRequest: ProtobufMessage {
  var service = ""
  var unknownFields = UnknownFields()

  mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    if field.number != 1 { return false }
    service = try field.string()
    return true
  }

  func encode(into writer: inout WireWriter) { writer.string(1, service) }
}

struct HealthCheckResponse: ProtobufMessage {
  var status = GRPCHealth.Status.unknown
  var unknownFields = UnknownFields()

  init() {}

  init(status: GRPCHealth.Status) { self.status = status }

  mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    if field.number != 1 { return false }
    status = GRPCHealth.Status(rawValue: try field.int32()) ?? .unknown
    return true
  }

  func encode(into writer: inout WireWriter) { writer.int32(1, status.rawValue) }
}
