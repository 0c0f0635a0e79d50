import CLinux
import Glibc
import Synchronization

/// One thread that waits for sockets and times, and runs what other threads hand to it. All connections of a channel or server live on
/// it, so their state needs no locks; whatever says "on the loop" is called by this thread alone.
final class EventLoop: @unchecked Sendable {
  /// What a socket is ready for.
  struct Readiness: OptionSet {
    let rawValue: UInt32
    static let read = Readiness(rawValue: UInt32(EPOLLIN.rawValue))
    static let write = Readiness(rawValue: UInt32(EPOLLOUT.rawValue))
    /// An error or the peer's end; always told, asked for or not.
    static let hangUp = Readiness(rawValue: UInt32(EPOLLHUP.rawValue | EPOLLERR.rawValue))
  }

  struct TimerID: Hashable { fileprivate let number: UInt64 }

  private struct Timer {
    var deadline: UInt64
    var id: TimerID
    var body: () -> Void
  }

  private struct Inbox {
    var bodies: [@Sendable () -> Void] = []
    var isStopped = false
  }

  private let epoll: Int32
  private let wake: Int32
  private let inbox = Mutex(Inbox())
  // On the loop:
  private var handlers: [Int32: (Readiness) -> Void] = [:]
  /// Ascending by deadline.
  private var timers: [Timer] = []
  private var lastTimer: UInt64 = 0

  /// Starts the thread. Throws `unavailable` if the process has no descriptors or threads left.
  init() throws(GRPCError) {
    epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
    wake = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
    if epoll < 0 || wake < 0 { throw GRPCError(.unavailable, "no descriptors left for an event loop", fate: .unsent) }
    var event = unsafe epoll_event(events: UInt32(EPOLLIN.rawValue), data: epoll_data_t(fd: wake))
    _ = unsafe epoll_ctl(epoll, EPOLL_CTL_ADD, wake, &event)
    let started = DetachedThread.start(name: "keelson-grpc") { [self] in run() }
    if !started { throw GRPCError(.unavailable, "no threads left for an event loop", fate: .unsent) }
  }

  deinit {
    Socket.close(epoll)
    Socket.close(wake)
  }

  /// Runs `body` on the loop, from any thread, in order. Returns false if the loop was stopped; `body` does not run then.
  @discardableResult
  func perform(_ body: @escaping @Sendable () -> Void) -> Bool {
    let isFirst: Bool? = inbox.withLock { inbox in
      if inbox.isStopped { return nil }
      inbox.bodies.append(body)
      return inbox.bodies.count == 1
    }
    if isFirst == true { poke() }
    return isFirst != nil
  }

  /// Ends the thread after what was handed to it so far.
  func stop() {
    inbox.withLock { $0.isStopped = true }
    poke()
  }

  private func poke() {
    var one: UInt64 = 1
    _ = unsafe write(wake, &one, 8)
  }

  // MARK: On the loop

  func register(_ descriptor: Int32, _ interest: Readiness, handler: @escaping (Readiness) -> Void) {
    handlers[descriptor] = handler
    control(EPOLL_CTL_ADD, descriptor, interest)
  }

  func setInterest(_ descriptor: Int32, _ interest: Readiness) { control(EPOLL_CTL_MOD, descriptor, interest) }

  func unregister(_ descriptor: Int32) {
    if handlers.removeValue(forKey: descriptor) != nil { control(EPOLL_CTL_DEL, descriptor, []) }
  }

  @discardableResult
  func schedule(at deadline: UInt64, _ body: @escaping () -> Void) -> TimerID {
    lastTimer += 1
    let id = TimerID(number: lastTimer)
    var (low, high) = (0, timers.count)
    while low < high {
      let middle = (low + high) / 2
      if timers[middle].deadline <= deadline { low = middle + 1 } else { high = middle }
    }
    timers.insert(Timer(deadline: deadline, id: id, body: body), at: low)
    return id
  }

  @discardableResult
  func schedule(after nanoseconds: UInt64, _ body: @escaping () -> Void) -> TimerID {
    schedule(at: MonotonicClock.deadline(after: nanoseconds), body)
  }

  func cancel(_ id: TimerID) { timers.removeAll { $0.id == id } }

  private func control(_ operation: Int32, _ descriptor: Int32, _ interest: Readiness) {
    var event = unsafe epoll_event(events: interest.rawValue, data: epoll_data_t(fd: descriptor))
    _ = unsafe epoll_ctl(epoll, operation, descriptor, &event)
  }

  private func run() {
    while true {
      let (bodies, isStopped) = inbox.withLock { inbox in
        defer { inbox.bodies = [] }
        return (inbox.bodies, inbox.isStopped)
      }
      for body in bodies { body() }
      let now = MonotonicClock.nanoseconds()
      while let first = timers.first, first.deadline <= now {
        timers.removeFirst()
        first.body()
      }
      if isStopped { break }
      waitForSockets()
    }
    handlers = [:]
    timers = []
  }

  private func waitForSockets() {
    var milliseconds: Int32 = -1
    if let first = timers.first {
      let now = MonotonicClock.nanoseconds()
      milliseconds = first.deadline <= now ? 0 : Int32(clamping: (first.deadline - now) / 1_000_000 + 1)
    }
    var events = unsafe [epoll_event](repeating: epoll_event(), count: 64)
    let count = unsafe epoll_wait(epoll, &events, 64, milliseconds)
    // Anything else would fail again and again, and the thread would never sleep.
    precondition(count >= 0 || errno == EINTR, "epoll_wait failed: \(Socket.Errno(errno))")
    if count <= 0 { return }
    for index in 0..<Int(count) {
      let (descriptor, readiness) = unsafe (events[index].data.fd, events[index].events)
      if descriptor == wake {
        var number: UInt64 = 0
        _ = unsafe read(wake, &number, 8)
      } else {
        // One that was unregistered by an earlier event of this round is not there any more.
        handlers[descriptor]?(Readiness(rawValue: readiness))
      }
    }
  }
}
