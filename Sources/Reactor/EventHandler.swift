/// Whoever submits block requests. It must outlive every request it has submitted: devices keep no reference to it.
open class BlockClient {
  public init() {}

  /// Called once per submitted request, on the device's reactor thread, never from inside `submit`.
  open func blockRequestCompleted(token: UInt64, status: BlockStatus) {
    preconditionFailure("blockRequestCompleted is not implemented")
  }
}

/// An object that lives on one reactor and hears of what it asked the reactor for.
///
/// All methods are called on the reactor's thread. A base class and not a protocol, because a class reference dispatches
/// through one table load and no existential container. Register it with `Reactor.register` to get the id that operations name.
open class EventHandler: BlockClient {
  /// Set while registered.
  public final var handlerID: HandlerID { identifier }
  // Stored apart, as reading a stored property of another module costs an exclusivity check.
  final var identifier = HandlerID.none
  /// Whether it is on the reactor's list of those to flush at the end of this pass.
  final var isFlushRequested = false

  /// A disk operation, an armed poll, a timer or a deferred event came due. `result` is the operation's return value or
  /// -errno; for polls the ready events (`POLLIN` …); for timers 0; for deferred events what was given.
  open func completed(token: UInt64, result: Int32) {
    preconditionFailure("completed is not implemented")
  }

  /// Called once per pass while the handler is hot (`Reactor.makeHot`): look for work without waiting. Returns whether there
  /// was any.
  open func poll() -> Bool { false }

  /// The reactor is about to sleep and this handler is hot: arm what shall wake it. It is not hot afterwards.
  open func prepareToSleep() {}

  /// Called at the end of a pass after `Reactor.requestFlush`: send what was batched.
  open func flush() {}

  /// A simulated reactor was abandoned with this handler on it (`Reactor.abandon`): let go of everything that may hold this.
  open func abandoned() {}
}

/// Names a registered handler. Stale ids are recognised by their generation, so a late event never reaches a new owner.
@frozen public struct HandlerID: Equatable, Sendable {
  /// Index in the low 16 bits, generation in the next 8.
  @usableFromInline let rawValue: UInt32

  @inlinable init(rawValue: UInt32) { self.rawValue = rawValue }

  /// No handler; events for it are dropped.
  public static let none = HandlerID(rawValue: 0)

  /// Tokens are this many bits wide.
  public static let tokenBits: UInt64 = 40

  /// The 64 bits the kernel carries for us.
  func userData(token: UInt64) -> UInt64 {
    precondition(token >> Self.tokenBits == 0)
    return UInt64(rawValue) << Self.tokenBits | token
  }
}
