import Reactor

/// Runs the jobs of one reactor: starts them, pumps them by a timer, and says when all are finished. Requests and completions
/// pass it by; they go between the jobs and their device.
///
/// Another thread watches the jobs' meters meanwhile, and may ask for an early end through the reactor's mailbox.
public final class BenchDriver: EventHandler {
  /// How late the end of the run may be noticed, and how soon a busy device is asked again when nothing is in flight.
  public static let pumpIntervalNanoseconds: UInt64 = 2_000_000

  public let jobs: [BenchJob]
  private let reactor: Reactor
  private var whenFinished: (([BenchJobResult]) -> Void)?
  public private(set) var isFinished = false

  /// The jobs' devices live on `reactor`, and so does the driver. `whenFinished` is called there, once.
  public init(reactor: Reactor, jobs: [BenchJob], whenFinished: @escaping ([BenchJobResult]) -> Void) {
    precondition(!jobs.isEmpty)
    self.reactor = reactor
    self.jobs = jobs
    self.whenFinished = whenFinished
    super.init()
  }

  /// Starts all jobs. The driver must be kept until it is finished.
  public func start() {
    reactor.register(self)
    for job in jobs { job.start() }
    reactor.schedule(afterNanoseconds: Self.pumpIntervalNanoseconds, handlerID, token: 0)
  }

  /// Ends the measured runs early; verification still follows.
  public func drain() {
    for job in jobs { job.drain() }
  }

  public override func completed(token: UInt64, result: Int32) {
    if isFinished { return }
    for job in jobs { job.pump() }
    if jobs.contains(where: { !$0.isFinished }) {
      reactor.schedule(afterNanoseconds: Self.pumpIntervalNanoseconds, handlerID, token: 0)
      return
    }
    isFinished = true
    // Not from inside an event of our own: the table of handlers is being read for it.
    let bound = ReactorBound(self)
    reactor.post { $0.unregister(bound.value) }
    whenFinished?(jobs.map { $0.result() })
    // The closure may hold what holds the driver.
    whenFinished = nil
  }
}
