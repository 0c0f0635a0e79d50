import CLinux
import Glibc
import Synchronization

/// A reactor as other threads hold it: they can send it work and nothing else.
public struct ReactorReference: @unchecked Sendable {
  private let reactor: Reactor

  public init(_ reactor: Reactor) { self.reactor = reactor }

  public var index: Int { reactor.index }
  public var engineKind: IOEngineKind { reactor.engineKind }
  public var fallbackReason: String? { reactor.fallbackReason }

  /// Runs `body` on the reactor's thread, soon, in the order of posting.
  public func post(_ body: @escaping @Sendable (Reactor) -> Void) { reactor.post(body) }

  /// Ends the reactor's loop after what was posted before. What waits for an answer of it afterwards has made a mistake, and traps.
  public func stop() { reactor.stop() }

  /// Runs `body` on the reactor's thread and waits for its result. Not for reactor threads: two could wait for each other.
  public func call<Value: Sendable>(_ body: @escaping @Sendable (Reactor) -> Value) -> Value {
    precondition(!reactor.isCurrent, "a reactor would wait for itself")
    let result = Rendezvous<Value>()
    reactor.postAwaited { result.fulfil(body($0)) }
    return result.wait()
  }

  /// As `call`, for bodies that finish later: they are handed a function to give the result to, once.
  public func callAsynchronously<Value: Sendable>(_ body: @escaping @Sendable (Reactor, @escaping @Sendable (Value) -> Void) -> Void)
    -> Value
  {
    precondition(!reactor.isCurrent, "a reactor would wait for itself")
    let result = Rendezvous<Value>()
    reactor.postAwaited { body($0) { result.fulfil($0) } }
    return result.wait()
  }
}

/// A reactor that may be gone: a thread that is inside a blocking call cannot be told.
struct WeakReactor: @unchecked Sendable {
  private weak let reactor: Reactor?
  init(_ reactor: Reactor) { self.reactor = reactor }
  func post(_ body: @escaping @Sendable (Reactor) -> Void) { reactor?.post(body) }
}

/// A value of a reactor's thread that travels with a message to that thread.
public struct ReactorBound<Value>: @unchecked Sendable {
  public let value: Value
  public init(_ value: Value) { self.value = value }
}

/// One value, handed from one thread to another that waits for it.
public final class Rendezvous<Value: Sendable>: @unchecked Sendable {
  private let state = Mutex<Value?>(nil)
  private let bell: Int32

  public init() {
    bell = eventfd(0, Int32(EFD_CLOEXEC))
    precondition(bell >= 0, "no descriptor left for an eventfd")
  }

  deinit { close(bell) }

  /// Gives the value; only the first counts.
  public func fulfil(_ value: Value) {
    state.withLock { if $0 == nil { $0 = value } }
    eventfd_write(bell, 1)
  }

  /// Waits for the value, at most `timeoutMilliseconds`.
  public func wait(timeoutMilliseconds: Int32) -> Value? {
    var descriptor = pollfd(fd: bell, events: Int16(POLLIN), revents: 0)
    while unsafe Glibc.poll(&descriptor, 1, timeoutMilliseconds) < 0, errno == EINTR {}
    return state.withLock { $0 }
  }

  /// Waits for the value.
  public func wait() -> Value {
    while true { if let value = wait(timeoutMilliseconds: -1) { return value } }
  }
}
