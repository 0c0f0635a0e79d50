import CLinux
import Glibc

/// Which kernel interface drives disks and sockets.
public enum IOEngineKind: String, Sendable, CaseIterable {
  /// io_uring for disks, polls and sleep.
  case ioUring = "io_uring"
  /// libaio for disks, epoll for sockets.
  case libaio
  /// No kernel at all: a simulation.
  case simulated
}

/// What the command line says about it.
public enum IOEngineChoice: String, Sendable, CaseIterable {
  case ioUring = "io_uring"
  case libaio
  /// io_uring where the kernel permits it, else libaio.
  case auto
}

/// A disk operation as the engines take it.
enum DiskOperation {
  case read, write
  /// Write, durable before it completes (`RWF_DSYNC`).
  case writeDurably
  case sync
  /// `fallocate` with these mode bits.
  case fallocate(mode: Int32)
}

/// One thread's door to the kernel: submits disk operations and polls, reaps their completions, sleeps.
///
/// A base class with two final subclasses, so that the reactor's calls are single table loads. Completions are handed to
/// `Reactor.dispatch`.
class IOEngine {
  let kind: IOEngineKind
  /// Operations the kernel has not answered, polls included.
  final var inFlight = 0

  init(kind: IOEngineKind) { self.kind = kind }

  func submit(
    _ operation: DiskOperation, descriptor: Int32, buffer: UnsafeMutableRawPointer?, byteCount: Int, offsetBytes: UInt64,
    userData: UInt64
  ) { preconditionFailure() }

  /// One event, once, for `events` (POLLIN, POLLOUT) on the descriptor.
  func armPoll(descriptor: Int32, events: Int16, userData: UInt64) { preconditionFailure() }

  /// Forgets all polls armed on a descriptor that is about to be closed. Their events may still arrive.
  func disarmPolls(descriptor: Int32, userData: UInt64) { preconditionFailure() }

  /// Hands what was prepared to the kernel, without waiting.
  func flush() { preconditionFailure() }

  /// Dispatches what has completed; returns how many.
  func reap(into reactor: Reactor) -> Int { preconditionFailure() }

  /// Submits, then sleeps until something completes, `wake` is called, or the time is over (nil: no limit).
  func wait(timeoutNanoseconds: UInt64?) { preconditionFailure() }

  /// Ends a wait, from any thread.
  nonisolated func wake() { preconditionFailure() }
}
