import GRPC
import Reactor
import Synchronization

/// Runs operations that block on threads of their own, one at a time per key. One that hangs (a device without a path) keeps its key: who
/// asks again is told ABORTED at once, and nothing piles up behind it.
final class ExclusiveOperations: Sendable {
  /// Operations at a time, hanging ones included.
  static let maximumCount = 512

  private let running = Mutex<Set<String>>([])

  /// Throws ABORTED if an operation of `key` runs, UNAVAILABLE if too many do. When the caller's task is cancelled the call ends and the
  /// operation goes on.
  func run<Value: Sendable>(_ key: String, _ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try running.withLock { running throws(GRPCError) in
      if running.contains(key) { throw GRPCError(.aborted, "an operation on \(key) is still under way") }
      if running.count >= Self.maximumCount { throw GRPCError(.unavailable, "\(running.count) operations are under way; try again") }
      running.insert(key)
    }
    let handoff = Handoff<Value>()
    PlainThread.start(name: "keelson-csi") { [self] in
      let result = Result { try body() }
      running.withLock { _ = $0.remove(key) }
      handoff.finish(result)
    }
    return try await withTaskCancellationHandler {
      try await handoff.value()
    } onCancel: {
      handoff.finish(.failure(GRPCError(.cancelled, "the call ended before the operation on \(key)")))
    }
  }

  /// Runs `body` on the calling thread, unless an operation of `key` runs.
  func attempt(_ key: String, _ body: () -> Void) {
    let isFree = running.withLock { $0.insert(key).inserted }
    if !isFree { return }
    body()
    running.withLock { _ = $0.remove(key) }
  }
}

/// A result from a thread to a task; the first one counts.
private final class Handoff<Value: Sendable>: Sendable {
  private enum State {
    case empty
    case waiting(CheckedContinuation<Value, any Error>)
    case ready(Result<Value, any Error>)
    case over
  }

  private let state = Mutex(State.empty)

  func finish(_ result: Result<Value, any Error>) {
    let waiter: CheckedContinuation<Value, any Error>? = state.withLock { state in
      switch state {
      case .empty:
        state = .ready(result)
        return nil
      case .waiting(let continuation):
        state = .over
        return continuation
      case .ready, .over: return nil
      }
    }
    waiter?.resume(with: result)
  }

  func value() async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
      let result: Result<Value, any Error>? = state.withLock { state in
        if case .ready(let result) = state {
          state = .over
          return result
        }
        state = .waiting(continuation)
        return nil
      }
      if let result { continuation.resume(with: result) }
    }
  }
}
