import Glibc
import Reactor

/// What the streams of one reactor share: the memory that bytes are received into before it is known where they belong.
///
/// Shared, because a stream keeps at most part of a header there between two receives: a thousand idle connections need no
/// receive buffers.
@safe public final class TransportContext {
  /// One receive takes at most this much from a socket.
  static let scratchBytes = 128 << 10
  /// While bulk data is expected: enough for the next header, so that little of the data is copied.
  static let bulkScratchBytes = 8 << 10

  public let reactor: Reactor
  let scratch: UnsafeMutableRawPointer
  /// Streams that keep received bytes, waiting for memory. While there are any, all receive little at a time.
  var waitingCount = 0
  /// The vectors of one send.
  let vectors: UnsafeMutableBufferPointer<iovec>

  public init(reactor: Reactor) {
    self.reactor = reactor
    unsafe scratch = .allocate(byteCount: Self.scratchBytes, alignment: 4096)
    unsafe vectors = .allocate(capacity: 512)
  }

  deinit {
    unsafe scratch.deallocate()
    unsafe vectors.deallocate()
  }
}
