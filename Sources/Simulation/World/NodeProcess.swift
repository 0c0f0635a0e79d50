import Pool
import Reactor

/// One run of a node's process: a reactor with everything on it. When it is killed, all of that is gone; disks stay.
final class NodeProcess {
  let node: Int
  let number: Int
  let incarnation: Identifier
  let clock: VirtualClock
  let reactor: Reactor
  /// How this node's clock runs: it shows `offset + world time × (1 + drift)`.
  let clockOffsetNanoseconds: UInt64
  let driftPartsPerMillion: Int64
  private(set) var isAlive = true
  /// Stopped by a signal: nothing runs, time goes on.
  private(set) var isPaused = false
  /// How long the machine has slept: its timers know nothing of it, CLOCK_BOOTTIME does.
  private(set) var sleptNanoseconds: UInt64 = 0
  private var fellAsleep: UInt64?
  private let inbox = Inbox()

  init(node: Int, number: Int, incarnation: Identifier, clockOffsetNanoseconds: UInt64, driftPartsPerMillion: Int64, worldNow: UInt64) {
    self.node = node
    self.number = number
    self.incarnation = incarnation
    self.clockOffsetNanoseconds = clockOffsetNanoseconds
    self.driftPartsPerMillion = driftPartsPerMillion
    clock = VirtualClock()
    guard let reactor = try? Reactor(index: node, simulatedBy: clock, arenaBytes: 2 << 20) else {
      preconditionFailure("there is no memory for a simulated reactor")
    }
    self.reactor = reactor
    setTime(worldNow)
    reactor.register(inbox)
  }

  var isRunning: Bool { isAlive && !isPaused }

  func setTime(_ worldNow: UInt64) { clock.nanoseconds = nodeTime(worldNow) &- sleptNanoseconds }

  /// CLOCK_BOOTTIME: leases are counted on it (R3b).
  var bootNanoseconds: UInt64 { clock.nanoseconds &+ sleptNanoseconds }

  /// Stops, by a signal or with the whole machine.
  func pause(_ worldNow: UInt64, sleeps: Bool) {
    isPaused = true
    fellAsleep = sleeps ? nodeTime(worldNow) : nil
  }

  /// Goes on. After a sleep CLOCK_BOOTTIME has jumped, and timers have stood.
  func resume(_ worldNow: UInt64) {
    isPaused = false
    if let fellAsleep { sleptNanoseconds += nodeTime(worldNow) &- fellAsleep }
    fellAsleep = nil
  }

  private func nodeTime(_ worldNow: UInt64) -> UInt64 {
    let drift = Int64(worldNow / 1000) * driftPartsPerMillion / 1000
    return clockOffsetNanoseconds &+ UInt64(bitPattern: Int64(worldNow) + drift)
  }

  /// When in the world's time this node's next timer is due; nil without one.
  var nextTimer: UInt64? {
    guard let timer = reactor.nextTimerNanoseconds else { return nil }
    let deadline = timer &+ sleptNanoseconds
    if deadline <= clockOffsetNanoseconds { return 0 }
    let shown = Int64(deadline - clockOffsetNanoseconds)
    var world = UInt64(shown - shown / 1_000_000 * driftPartsPerMillion)
    // Back from where rounding and the square of the drift have led, then up to the first moment that is late enough.
    world -= min(world, 2000)
    var step: UInt64 = 1 << 20
    while step > 0 {
      while nodeTime(world) < deadline, nodeTime(world + step) < deadline { world += step }
      step >>= 1
    }
    return nodeTime(world) >= deadline ? world : world + 1
  }

  /// Hands the process something from outside; it comes to it when it runs.
  func enqueue(_ body: @escaping () -> Void) {
    if !isAlive { return }
    inbox.queue.append(body)
    reactor.postpone(inbox.handlerID, token: 0, result: 0)
  }

  func kill() {
    isAlive = false
    inbox.queue = []
    inbox.head = 0
  }

  /// Takes the dead or left process apart, so that nothing holds itself in memory.
  func dispose() {
    kill()
    reactor.abandon()
  }

  /// What reaches the process from outside, in order.
  private final class Inbox: EventHandler {
    var queue: [() -> Void] = []
    var head = 0

    override func completed(token: UInt64, result: Int32) {
      guard head < queue.count else { return }
      let body = queue[head]
      head += 1
      if head == queue.count {
        queue.removeAll(keepingCapacity: true)
        head = 0
      }
      body()
    }
  }
}
