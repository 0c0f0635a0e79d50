import Pool

/// Time, what is going to happen, and the processes. All randomness comes from its generator, so that a seed says everything.
final class World {
  private(set) var now: UInt64 = 0
  var generator: SeededGenerator
  var trace = Trace()
  /// The first thing that was wrong.
  private(set) var violation: String?
  private var events = EventHeap()
  private(set) var processes: [NodeProcess] = []
  private var graveyard: [NodeProcess] = []
  private(set) var eventCount = 0

  /// What a moment may take, in rounds of all processes, before it counts as a loop without end.
  private static let roundsPerMoment = 20_000

  init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

  func fail(_ message: @autoclosure () -> String) {
    guard violation == nil else { return }
    let message = message()
    violation = message
    note(.check, 0, 0) { "VIOLATION: \(message)" }
  }

  func note(_ kind: Trace.Kind, _ first: Int, _ second: Int, _ text: () -> String) {
    trace.note(kind, at: now, first, second, text)
  }

  // MARK: Planning

  func after(_ delay: UInt64, _ body: @escaping () -> Void) { events.insert(at: now + delay, body) }

  /// The same, in a process, if it lives then.
  func after(_ delay: UInt64, in process: NodeProcess, _ body: @escaping () -> Void) {
    after(delay) { process.enqueue(body) }
  }

  // MARK: Processes

  /// Starts a process. Its clock is drawn.
  func startProcess(node: Int, maximumDriftPartsPerMillion: Int) -> NodeProcess {
    let drift = maximumDriftPartsPerMillion == 0 ? 0 : generator.below(2 * maximumDriftPartsPerMillion + 1) - maximumDriftPartsPerMillion
    let process = NodeProcess(
      node: node, number: processes.count + graveyard.count, incarnation: .random(using: &generator),
      clockOffsetNanoseconds: generator.within(1_000_000_000...1_000_000_000_000), driftPartsPerMillion: Int64(drift), worldNow: now)
    processes.append(process)
    note(.process, node, process.number) { "node \(node) starts" }
    return process
  }

  func kill(_ process: NodeProcess) {
    process.kill()
    graveyard.append(process)
    processes.removeAll { $0 === process }
    note(.process, process.node, process.number) { "node \(process.node) is killed" }
  }

  /// Takes everything apart.
  func dispose() {
    events.removeAll()
    for process in processes + graveyard { process.dispose() }
    processes = []
    graveyard = []
  }

  // MARK: Running

  /// Goes on until `condition` holds, checked after every moment; false when `limitNanoseconds` are over, nothing is left to happen,
  /// or something was wrong.
  @discardableResult
  func run(until condition: () -> Bool, limitNanoseconds: UInt64) -> Bool {
    let end = now + limitNanoseconds
    while violation == nil {
      letProcessesWork()
      if condition() { return violation == nil }
      guard advance(to: end) else { return false }
    }
    return false
  }

  func run(forNanoseconds duration: UInt64) { run(until: { false }, limitNanoseconds: duration) }

  private func letProcessesWork() {
    var rounds = 0
    var isBusy = true
    while isBusy {
      isBusy = false
      for process in processes where process.isRunning {
        process.setTime(now)
        if process.reactor.step() { isBusy = true }
      }
      rounds += 1
      if rounds > Self.roundsPerMoment { return fail("a process works on and on without time passing") }
    }
  }

  /// Moves to the next event or timer and lets the events of that time happen; false when there is none until `end`.
  private func advance(to end: UInt64) -> Bool {
    var next = events.first
    for process in processes where process.isRunning {
      if let timer = process.nextTimer { next = min(next ?? .max, max(timer, now)) }
    }
    guard let next, next <= end else {
      now = max(now, end)
      return false
    }
    now = next
    while let first = events.first, first <= now, let event = events.pop() {
      eventCount += 1
      event.body()
    }
    return true
  }
}
