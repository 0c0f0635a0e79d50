import Glibc
import Reactor

/// A host's connection to one nexus. Its commands are in the history from when they reach the nexus until that has answered.
@safe final class HostConnection: BlockClient {
  unowned let cluster: Cluster
  let run: NexusRun
  private(set) var isAlive = true
  private var commands: [UInt64: Command] = [:]
  /// Told when a command ends, with whether it was done.
  var ended: (Int, BlockStatus) -> Void = { _, _ in }
  private var buffers: [UnsafeMutableRawPointer] = unsafe []

  @safe private struct Command {
    let number: Int
    let request: BlockRequest
    let begun: UInt64
  }

  static let largestBytes = 64 << 10

  init(cluster: Cluster, run: NexusRun) {
    self.cluster = cluster
    self.run = run
    super.init()
    run.add(self)
  }

  deinit {
    while let buffer = unsafe buffers.popLast() { unsafe buffer.deallocate() }
  }

  var outstanding: Int { commands.count }

  /// Sends a command; it comes to the nexus when that runs. Sectors are whole 4 KiB units for `deallocate`.
  func send(
    _ operation: BlockOperation, _ sectors: Range<Int>, forceUnitAccess: Bool = false, then sent: @escaping (Int) -> Void = { _ in }
  ) {
    run.process.enqueue { [self] in
      guard isAlive, !run.isOver else { return }
      let kind: History.Kind =
        switch operation {
        case .read: .read
        case .write: .write
        case .flush: .flush
        case .writeZeroes, .deallocate: .zero
        }
      let number = cluster.history.begin(kind, operation == .flush ? 0..<0 : sectors, generation: run.generation)
      var request = unsafe BlockRequest(
        operation, offsetBytes: UInt64(sectors.lowerBound * Stamp.sectorBytes), byteCount: UInt64(sectors.count * Stamp.sectorBytes),
        forceUnitAccess: forceUnitAccess, token: UInt64(number))
      if operation == .read || operation == .write {
        let buffer = unsafe takeBuffer()
        unsafe request.buffer = buffer
        for sector in sectors {
          let place = unsafe buffer + (sector - sectors.lowerBound) * Stamp.sectorBytes
          unsafe Stamp.fill(place, operation == .write ? Stamp.value(operation: number, sector: sector) : 0xDEAD)
        }
      }
      commands[UInt64(number)] = Command(number: number, request: request, begun: cluster.world.now)
      cluster.world.note(.host, number, sectors.lowerBound) {
        "host of node \(run.process.node): \(operation) \(number) of \(sectors)\(forceUnitAccess ? " FUA" : "")"
      }
      sent(number)
      run.server.device.submit(request, for: self)
    }
  }

  private func takeBuffer() -> UnsafeMutableRawPointer {
    if let buffer = unsafe buffers.popLast() { return unsafe buffer }
    return .allocate(byteCount: Self.largestBytes, alignment: 4096)
  }

  override func blockRequestCompleted(token: UInt64, status: BlockStatus) {
    let world = cluster.world
    guard let command = commands.removeValue(forKey: token) else { return world.fail("command \(token) ended twice") }
    let number = command.number
    world.note(.host, number, Int(status.rawValue)) { "command \(number) ends: \(status)" }
    let request = command.request
    if !isAlive {
      // Also one that was given up may have been done in part; what matters is that it does nothing from now on.
      cluster.history.settle(number, mayHaveHappened: status != .busy && status != .outOfRange)
    } else if status == .success {
      conclude(number, request)
    } else {
      if status == .aborted { world.fail("command \(number) was aborted although its host is there") }
      cluster.history.fail(number, mayHaveHappened: status != .busy && status != .outOfRange)
    }
    if let buffer = unsafe request.buffer {
      // Whoever still refers to it does so wrongly.
      unsafe memset(buffer, 0xDD, Int(request.byteCount))
      unsafe Stamp.fill(buffer, 0xDDDD_0000_DDDD)
      unsafe buffers.append(buffer)
    }
    ended(number, status)
  }

  private func conclude(_ number: Int, _ request: BlockRequest) {
    var values: [UInt64] = []
    if request.operation == .read, let buffer = unsafe request.buffer {
      for index in 0..<Int(request.byteCount) / Stamp.sectorBytes { unsafe values.append(Stamp.read(buffer + index * Stamp.sectorBytes)) }
    }
    if !cluster.history.succeed(number, values: values) {
      cluster.world.fail("generation \(run.generation) answered command \(number) after a later one had served (R3, R3b)")
    }
    if request.operation != .read, request.operation != .flush { cluster.checkAcknowledged(number) }
  }

  /// The host goes away: what has not begun never happens (R12).
  func drop() {
    run.process.enqueue { [self] in
      guard isAlive else { return }
      isAlive = false
      cluster.world.note(.host, -1, run.process.node) { "a host of node \(run.process.node) leaves" }
      run.server.device.discardUnstarted(of: self)
    }
  }

  /// The nexus's process died.
  func serverEnded() {
    isAlive = false
    for token in commands.keys.sorted() { cluster.history.fail(commands[token]!.number, mayHaveHappened: true) }
    commands = [:]
  }

  /// How long the oldest command has been under way.
  var oldestAgeNanoseconds: UInt64 { commands.values.map { cluster.world.now - $0.begun }.max() ?? 0 }
}
