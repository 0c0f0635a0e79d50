import CLinux
import Glibc
import Synchronization

/// One thread, one engine: disks, sockets, timers and messages of everything that lives on it.
///
/// All methods are for the reactor's own thread, except `post`, `call`, `stop` and `isCurrent`. The loop is: messages,
/// completions, deferred events, hot handlers, flushes, submit; and when there was nothing to do, a short spin, then sleep in
/// the kernel. Nothing in it allocates in steady state.
public final class Reactor {
  /// How a reactor is set up.
  public struct Configuration: Sendable {
    public var engine: IOEngineChoice
    /// Payload memory for commands of hosts, and as much again for commands of nexuses to replicas.
    public var arenaBytes: Int
    /// How long to look for work before sleeping, when that has paid off lately. 0 never spins.
    public var spinNanoseconds: UInt64
    /// The processor to run on; nil leaves it to the kernel.
    public var processor: Int?

    public init(
      engine: IOEngineChoice = .auto, arenaBytes: Int = 32 << 20, spinNanoseconds: UInt64 = 30_000, processor: Int? = nil
    ) {
      self.engine = engine
      self.arenaBytes = arenaBytes
      self.spinNanoseconds = spinNanoseconds
      self.processor = processor
    }
  }

  /// Number of this reactor in its process.
  public let index: Int
  /// Which interface was chosen.
  public var engineKind: IOEngineKind { engine.kind }
  /// Why io_uring was not chosen, if it was asked for or tried.
  public let fallbackReason: String?
  /// Payload buffers for commands of hosts.
  public let arena: BufferArena
  /// Payload buffers for commands of nexuses to replicas: apart, so that neither side ever waits for the other (R14).
  public let replicaArena: BufferArena
  /// One largest buffer for work on behalf of commands that already hold payload buffers (read-modify-write): were it to wait
  /// for the arena, the commands that fill the arena could wait for it (R14).
  public let reserveArena: BufferArena
  /// Time at the start of this pass, CLOCK_MONOTONIC.
  public var now: UInt64 { passStart }

  private(set) var engine: IOEngine
  private let configuration: Configuration
  // Private, and read through methods: what other modules read directly costs them an exclusivity check.
  private var passStart: UInt64
  private var handlers: HandlerTable
  private let deferred = Cell(DeferredEvents())
  private var timers = TimerHeap()
  private let flushRequests = Cell([HandlerID]())
  private var hot: [HandlerID] = []
  private let mailbox = Mailbox()
  private var isStopping = false
  private var spinCredit = 4
  private let thread: pthread_t
  /// Stands in for the machine's clock in a simulation.
  private let virtualClock: VirtualClock?

  /// How often a pass goes on to flushes that were asked for by flushes.
  private static let flushRounds = 4

  /// At most this many handlers are polled in the spin; beyond it, each arms its wake-up at once.
  public static let maximumHotHandlers = 4

  /// Creates a reactor for the calling thread; `run` must be called there. Throws if the engine that was asked for is refused.
  public convenience init(index: Int = 0, configuration: Configuration = Configuration()) throws(SystemError) {
    try self.init(index: index, configuration: configuration, virtualClock: nil)
  }

  /// Creates a reactor for a simulation: time is what the clock says, there are no descriptors, it never spins. Whoever made it
  /// moves the clock and calls `step`.
  public convenience init(index: Int = 0, simulatedBy clock: VirtualClock, arenaBytes: Int) throws(SystemError) {
    try self.init(index: index, configuration: Configuration(arenaBytes: arenaBytes, spinNanoseconds: 0), virtualClock: clock)
  }

  private init(index: Int, configuration: Configuration, virtualClock: VirtualClock?) throws(SystemError) {
    self.index = index
    self.virtualClock = virtualClock
    self.configuration = configuration
    guard let arena = BufferArena(byteCount: configuration.arenaBytes),
      let replicaArena = BufferArena(byteCount: configuration.arenaBytes),
      let reserveArena = BufferArena(byteCount: BufferArena.maximumBufferBytes)
    else {
      throw SystemError("map \(configuration.arenaBytes) bytes of payload memory", code: ENOMEM)
    }
    self.arena = arena
    self.replicaArena = replicaArena
    self.reserveArena = reserveArena
    passStart = virtualClock?.nanoseconds ?? Clock.monotonicNanoseconds()
    handlers = HandlerTable()
    thread = pthread_self()
    flushRequests.value.reserveCapacity(1024)
    hot.reserveCapacity(Self.maximumHotHandlers)
    engine = IOEngine(kind: .libaio)
    var chosen: IOEngine?
    var reason: String?
    if let virtualClock {
      chosen = SimulatedEngine(clock: virtualClock)
    } else if configuration.engine != .libaio {
      do {
        chosen = unsafe try UringEngine(arenas: (unsafe self.arena.memory, self.replicaArena.memory))
      } catch {
        if configuration.engine == .ioUring { throw error }
        reason = error.description
      }
    }
    fallbackReason = reason
    if let chosen { engine = chosen } else { engine = try EpollEngine(reactor: self) }
    mailbox.attach(engine)
    if let processor = configuration.processor { Thread.pin(toProcessor: processor) }
  }

  /// Starts a reactor on a thread of its own and returns when it runs.
  public static func start(index: Int = 0, configuration: Configuration = Configuration()) throws(SystemError) -> ReactorReference {
    let outcome = Rendezvous<Result<ReactorReference, SystemError>>()
    Thread.start(name: "keelson-io-\(index)") {
      do throws(SystemError) {
        let reactor = try Reactor(index: index, configuration: configuration)
        outcome.fulfil(.success(ReactorReference(reactor)))
        reactor.run()
        reactor.mailbox.close()
      } catch {
        outcome.fulfil(.failure(error))
      }
    }
    return try outcome.wait().get()
  }

  // MARK: Handlers

  /// Takes a handler in; its id names it in every operation. At most 65,535 at a time.
  @discardableResult
  public func register(_ handler: EventHandler) -> HandlerID { handlers.insert(handler) }

  /// Lets a handler go. It must have nothing in flight that writes into its memory; late events are dropped.
  public func unregister(_ handler: EventHandler) { handlers.remove(handler) }

  @inline(__always)
  func dispatch(userData: UInt64, result: Int32) {
    guard let handler = unsafe handlers.find(UInt32(truncatingIfNeeded: userData >> HandlerID.tokenBits)) else { return }
    unsafe handler._withUnsafeGuaranteedRef { $0.completed(token: userData & (1 << HandlerID.tokenBits - 1), result: result) }
  }

  /// Calls `completed` of the handler later in this pass, never from inside this call.
  public func postpone(_ handler: HandlerID, token: UInt64, result: Int32) {
    deferred.value.append(handler.userData(token: token), result: result)
  }

  /// Calls `completed` (result 0) once, this much later. Cannot be taken back: ignore what is stale.
  public func schedule(afterNanoseconds delay: UInt64, _ handler: HandlerID, token: UInt64) {
    timers.insert(deadline: readClock() &+ delay, userData: handler.userData(token: token))
  }

  /// Calls `flush` of the handler at the end of this pass.
  public func requestFlush(_ handler: EventHandler) {
    if handler.isFlushRequested { return }
    handler.isFlushRequested = true
    flushRequests.value.append(handler.handlerID)
  }

  /// Makes a handler hot: polled in the spin, told before sleep. False when there are too many; then arm the wake-up now.
  public func makeHot(_ handler: EventHandler) -> Bool {
    if hot.count >= Self.maximumHotHandlers || configuration.spinNanoseconds == 0 { return false }
    hot.append(handler.handlerID)
    return true
  }

  // MARK: Operations

  /// Reads into `buffer`; the handler hears the byte count or -errno.
  @inline(__always)
  public func read(
    _ descriptor: Int32, into buffer: UnsafeMutableRawPointer, byteCount: Int, offsetBytes: UInt64, _ handler: HandlerID,
    token: UInt64
  ) {
    unsafe engine.submit(
      .read, descriptor: descriptor, buffer: buffer, byteCount: byteCount, offsetBytes: offsetBytes,
      userData: handler.userData(token: token))
  }

  /// Writes from `buffer`; with `durably` the data is on stable storage before completion.
  @inline(__always)
  public func write(
    _ descriptor: Int32, from buffer: UnsafeMutableRawPointer, byteCount: Int, offsetBytes: UInt64, durably: Bool = false,
    _ handler: HandlerID, token: UInt64
  ) {
    unsafe engine.submit(
      durably ? .writeDurably : .write, descriptor: descriptor, buffer: buffer, byteCount: byteCount, offsetBytes: offsetBytes,
      userData: handler.userData(token: token))
  }

  /// Makes all completed writes durable (fdatasync).
  public func sync(_ descriptor: Int32, _ handler: HandlerID, token: UInt64) {
    unsafe engine.submit(
      .sync, descriptor: descriptor, buffer: nil, byteCount: 0, offsetBytes: 0, userData: handler.userData(token: token))
  }

  /// Gives a range back to the device; it reads as zeros afterwards. -EOPNOTSUPP where the device cannot.
  public func punchHole(_ descriptor: Int32, offsetBytes: UInt64, byteCount: UInt64, _ handler: HandlerID, token: UInt64) {
    unsafe engine.submit(
      .fallocate(mode: Int32(FALLOC_FL_PUNCH_HOLE) | Int32(FALLOC_FL_KEEP_SIZE)), descriptor: descriptor, buffer: nil,
      byteCount: Int(byteCount), offsetBytes: offsetBytes, userData: handler.userData(token: token))
  }

  /// Makes a range read as zeros, keeping its space. -EOPNOTSUPP where the device cannot.
  public func zeroRange(_ descriptor: Int32, offsetBytes: UInt64, byteCount: UInt64, _ handler: HandlerID, token: UInt64) {
    unsafe engine.submit(
      .fallocate(mode: Int32(FALLOC_FL_ZERO_RANGE) | Int32(FALLOC_FL_KEEP_SIZE)), descriptor: descriptor, buffer: nil,
      byteCount: Int(byteCount), offsetBytes: offsetBytes, userData: handler.userData(token: token))
  }

  /// One event when the descriptor is readable, at its end, or broken.
  public func armReadable(_ descriptor: Int32, _ handler: HandlerID, token: UInt64) {
    engine.armPoll(descriptor: descriptor, events: Int16(POLLIN), userData: handler.userData(token: token))
  }

  /// One event when the descriptor is writable or broken.
  public func armWritable(_ descriptor: Int32, _ handler: HandlerID, token: UInt64) {
    engine.armPoll(descriptor: descriptor, events: Int16(POLLOUT), userData: handler.userData(token: token))
  }

  /// Takes back a poll before its descriptor is closed. Its event may still come once.
  public func disarm(_ descriptor: Int32, _ handler: HandlerID, token: UInt64) {
    engine.disarmPolls(descriptor: descriptor, userData: handler.userData(token: token))
  }

  // MARK: Other threads

  /// Runs `body` on this reactor's thread, soon, in the order of posting. From any thread.
  public nonisolated func post(_ body: @escaping @Sendable (Reactor) -> Void) { mailbox.post(body) }

  /// As `post`, for a caller that waits until `body` was run.
  nonisolated func postAwaited(_ body: @escaping @Sendable (Reactor) -> Void) { mailbox.post(body, isAwaited: true) }

  /// Ends `run` after what was posted before. From any thread.
  public nonisolated func stop() { mailbox.post { $0.isStopping = true } }

  /// Whether the calling thread is this reactor's.
  public nonisolated var isCurrent: Bool { pthread_equal(thread, pthread_self()) != 0 }

  // MARK: Time

  /// The time, also when it passed since the start of this pass.
  @inline(__always)
  private func readClock() -> UInt64 {
    if let virtualClock { return virtualClock.nanoseconds }
    return Clock.monotonicNanoseconds()
  }

  /// When the next timer is due, on this reactor's clock.
  public var nextTimerNanoseconds: UInt64? { timers.nextDeadline }

  // MARK: The loop

  /// One round, for a simulation that drives several reactors on one thread; returns whether there was any work.
  public func step() -> Bool {
    precondition(virtualClock != nil && isCurrent, "only a simulated reactor is stepped from outside")
    return pass()
  }

  /// Lets all handlers go, whatever they have in flight: the end of a simulated process.
  public func abandon() {
    precondition(virtualClock != nil, "only a simulated reactor can be abandoned")
    timers = TimerHeap()
    deferred.value = DeferredEvents()
    flushRequests.value = []
    handlers.removeAll()
    while let dead = unsafe handlers.popRemoved() {
      unsafe dead._withUnsafeGuaranteedRef { $0.abandoned() }
      unsafe dead.release()
    }
  }

  /// Runs until `stop`.
  public func run() {
    precondition(isCurrent, "a reactor runs on the thread that created it")
    isStopping = false
    var spin = SpinClock()
    while !isStopping {
      if pass() {
        spin.worked()
      } else if spinCredit > 0, spin.idleNanoseconds(now) < configuration.spinNanoseconds {
        // Others may want this processor more than we want to wait on it.
        sched_yield()
      } else {
        sleep()
        spin.worked()
      }
    }
  }

  /// Runs passes until `condition` holds or `timeoutNanoseconds` are over; for programs and tests with no thread to spare.
  @discardableResult
  public func run(until condition: () -> Bool, timeoutNanoseconds: UInt64 = .max) -> Bool {
    let start = readClock()
    var spin = SpinClock()
    while !condition() {
      if pass() {
        spin.worked()
      } else {
        if now &- start >= timeoutNanoseconds { return false }
        if spinCredit > 0, spin.idleNanoseconds(now) < configuration.spinNanoseconds {
          sched_yield()
        } else {
          sleep(atMost: 20_000_000)
          spin.worked()
        }
      }
      if isStopping { return condition() }
    }
    return true
  }

  /// One round over all sources; returns whether there was any work.
  private func pass() -> Bool {
    passStart = readClock()
    var work = mailbox.drain(self)
    work += engine.reap(into: self)
    while let expired = timers.popExpired(now) {
      dispatch(userData: expired, result: 0)
      work += 1
    }
    work += drainDeferred()
    var index = 0
    while index < hot.count {
      let id = hot[index]
      var isBusy = false
      if let handler = unsafe handlers.find(id.rawValue) { isBusy = unsafe handler._withUnsafeGuaranteedRef { $0.poll() } }
      if isBusy { work += 1 }
      index += 1
    }
    work += drainDeferred()
    runFlushes()
    engine.flush()
    while let dead = unsafe handlers.popRemoved() { unsafe dead.release() }
    return work > 0 || !deferred.value.isEmpty || !flushRequests.value.isEmpty
  }

  /// Flushes who asked for it. Flushes that beget flushes come in the same pass, up to a bound: one that asks for itself again and
  /// again must leave room for what it waits for.
  private func runFlushes() {
    var index = 0
    var round = 0
    var end = flushRequests.value.count
    while index < end {
      if let handler = unsafe handlers.find(flushRequests.value[index].rawValue) {
        unsafe handler._withUnsafeGuaranteedRef { handler in
          handler.isFlushRequested = false
          handler.flush()
        }
      }
      index += 1
      if index == end, round < Self.flushRounds {
        round += 1
        end = flushRequests.value.count
      }
    }
    flushRequests.value.removeFirst(index)
  }

  private func drainDeferred() -> Int {
    var count = 0
    // Bounded by what was there at the start, so that events that beget events leave room for others.
    let limit = deferred.value.count
    while count < limit, let event = deferred.value.popFirst() {
      dispatch(userData: event.userData, result: event.result)
      count += 1
    }
    return count
  }

  private func sleep(atMost limit: UInt64 = .max) {
    while let id = hot.popLast() {
      if let handler = unsafe handlers.find(id.rawValue) { unsafe handler._withUnsafeGuaranteedRef { $0.prepareToSleep() } }
    }
    guard flushRequests.value.isEmpty, deferred.value.isEmpty, mailbox.prepareToSleep() else { return }
    let start = now
    var timeout = timers.nextDeadline.map { $0 > start ? $0 - start : 0 }
    if limit != .max { timeout = min(timeout ?? .max, limit) }
    engine.wait(timeoutNanoseconds: timeout)
    mailbox.awake()
    passStart = readClock()
    // Spinning pays if sleeps are short; the kernel's wake-up itself takes about as long as the spin.
    let isWorthwhile = now &- start < 3 &* configuration.spinNanoseconds
    spinCredit = isWorthwhile ? min(spinCredit + 1, 8) : max(spinCredit - 1, 0)
  }
}
