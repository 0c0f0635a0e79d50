import Reactor
import Synchronization

/// Carries out a whole run: reactors, devices, jobs, progress and the report. Used from a thread that is no reactor's.
public final class BenchRunner: Sendable {
  /// A run in which no request ends for so long is given up. Longer than any time-out of the devices themselves.
  public static let defaultStallNanoseconds: UInt64 = 90_000_000_000
  private static let progressIntervalMilliseconds: Int32 = 250

  /// A reactor and what it does.
  private struct Lane: Sendable {
    var reactor: ReactorReference
    var lane: ReactorBound<BenchLane>
    var firstNumber: Int
    var jobCount: Int
  }

  public let plan: BenchPlan
  private let source: BenchSource
  private let target: String
  private let engine: IOEngineChoice
  private let stallNanoseconds: UInt64
  private let lanes = Mutex<[Lane]>([])
  private let wasDrained = Atomic<Bool>(false)

  /// `target` is what reports call the source.
  public init(
    plan: BenchPlan, source: BenchSource, target: String, engine: IOEngineChoice = .auto,
    stallNanoseconds: UInt64 = defaultStallNanoseconds
  ) {
    self.plan = plan
    self.source = source
    self.target = target
    self.engine = engine
    self.stallNanoseconds = stallNanoseconds
  }

  /// Ends the run early, from any thread; what was written is still verified.
  public func drain() {
    wasDrained.store(true, ordering: .releasing)
    for lane in lanes.withLock({ $0 }) { lane.reactor.post { _ in lane.lane.value.drain() } }
  }

  /// Runs to the end and returns the figures. `progress` is called a few times per second with what happened since its last call
  /// and the time since the start, in nanoseconds. With `processorCount` processors so many reactors share the jobs.
  public func run(
    processorCount: Int, progress: (BenchSample, UInt64) -> Void = { _, _ in }
  ) throws(BenchRunError) -> BenchReport {
    var laneCount = max(1, min(plan.jobCount, processorCount))
    if case .replica = source { laneCount = 1 }
    defer { end() }
    let shape = try openLanes(laneCount)
    let regions: [BenchRegion]
    do {
      regions = try plan.regions(deviceSizeBytes: shape.sizeBytes, deviceBlockBytes: shape.blockSizeBytes)
    } catch {
      throw BenchRunError("plan_not_possible", error.message, hint: error.hint)
    }
    let collector = Collector(laneCount: laneCount)
    let current = lanes.withLock { $0 }
    var meters: [BenchMeter] = []
    for (number, lane) in current.enumerated() {
      let plan = plan
      meters += lane.reactor.call { _ in
        lane.lane.value.prepare(plan, regions: regions, firstNumber: lane.firstNumber) { collector.add($0, ofLane: number) }
      }
    }
    let processorStart = ProcessorTime.ofProcess()
    let startNanoseconds = Clock.monotonicNanoseconds()
    for lane in current { lane.reactor.post { _ in lane.lane.value.start() } }
    if wasDrained.load(ordering: .acquiring) { drain() }
    var sampler = BenchSampler(meters, blockBytes: plan.blockBytes, nowNanoseconds: startNanoseconds)
    var processorTime: ProcessorTime?
    var lastEnd = startNanoseconds
    while collector.finished.wait(timeoutMilliseconds: Self.progressIntervalMilliseconds) == nil {
      let now = Clock.monotonicNanoseconds()
      let sample = sampler.sample(nowNanoseconds: now)
      // Reading back is not part of what is measured.
      if sample.phase >= .verifying && processorTime == nil { processorTime = ProcessorTime.ofProcess().since(processorStart) }
      if sample.endedCount > 0 { lastEnd = now }
      if now &- lastEnd > stallNanoseconds { throw stalled(current) }
      progress(sample, now &- startNanoseconds)
    }
    return BenchReport(
      target: target, plan: plan, results: collector.results(),
      processorTime: processorTime ?? ProcessorTime.ofProcess().since(processorStart))
  }

  /// Starts the reactors and opens the devices, one for each job.
  private func openLanes(_ laneCount: Int) throws(BenchRunError) -> BenchLane.Shape {
    var shape: BenchLane.Shape?
    for number in 0..<laneCount {
      let jobCount = (plan.jobCount + laneCount - 1 - number) / laneCount
      let configuration = Reactor.Configuration(engine: engine, arenaBytes: jobCount * BufferArena.maximumBufferBytes)
      let reactor: ReactorReference
      do {
        reactor = try Reactor.start(index: number, configuration: configuration)
      } catch {
        throw BenchRunError(
          "io_engine_refused", "could not start the I/O engine \(engine.rawValue): \(error)",
          hint: engine == .ioUring ? "Use --io-engine auto." : "Raise the limits that the message names, or use fewer --jobs.")
      }
      let lane = reactor.call { ReactorBound(BenchLane($0)) }
      let first = lanes.withLock { lanes in
        let first = lanes.reduce(0) { $0 + $1.jobCount }
        lanes.append(Lane(reactor: reactor, lane: lane, firstNumber: first, jobCount: jobCount))
        return first
      }
      precondition(first + jobCount <= plan.jobCount)
      let (source, plan) = (source, plan)
      let opened = try reactor.callAsynchronously { _, done in
        lane.value.open(source, plan: plan, jobCount: jobCount, done)
      }.get()
      if let shape, shape != opened {
        throw BenchRunError("target_changed", "\(target) has another size than a moment ago", hint: "Run it again.")
      }
      shape = opened
    }
    guard let shape else { preconditionFailure("a run has a lane") }
    return shape
  }

  private func stalled(_ lanes: [Lane]) -> BenchRunError {
    let count = lanes.reduce(0) { sum, lane in sum + lane.reactor.call { _ in lane.lane.value.inFlightCount } }
    return BenchRunError(
      "stalled",
      "\(target) has not answered any of \(count) requests in flight for \(stallNanoseconds / 1_000_000_000) s; the run was given up",
      hint: "See the kernel's log (dmesg) for a file or device, the node's log for a volume.")
  }

  /// Lets everything go, if nothing is in flight. What is stuck in a device must stay: the device may still write to it.
  private func end() {
    let all = lanes.withLock { lanes in
      defer { lanes = [] }
      return lanes
    }
    for lane in all {
      let isIdle = lane.reactor.call { _ in lane.lane.value.inFlightCount == 0 }
      if !isIdle { continue }
      _ = lane.reactor.callAsynchronously { _, done in lane.lane.value.close { done(true) } }
      // Before its reactor ends: a pool lives there until it is closed.
      if case .replica(let pool, _) = source { try? pool.close() }
      lane.reactor.stop()
    }
  }

  /// The results of all lanes, in their order.
  private final class Collector: Sendable {
    let finished = Rendezvous<Bool>()
    private let laneCount: Int
    private let parts = Mutex<[Int: [BenchJobResult]]>([:])

    init(laneCount: Int) { self.laneCount = laneCount }

    func add(_ results: [BenchJobResult], ofLane number: Int) {
      let count = parts.withLock { parts in
        parts[number] = results
        return parts.count
      }
      if count == laneCount { finished.fulfil(true) }
    }

    func results() -> [BenchJobResult] { parts.withLock { parts in (0..<laneCount).flatMap { parts[$0] ?? [] } } }
  }
}
