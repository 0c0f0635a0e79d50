import Reactor

/// A command as a simulated client knows it.
struct SimulatedCommand {
  let number: Int
  let client: SimulatedClient
  let request: BlockRequest
  /// The 512-byte blocks it reads or changes: for deallocate the whole units only.
  let blocks: Range<Int>
  /// Small enough to take effect as one, in the order of submission.
  let isOrdered: Bool
  /// The nexus served when it was submitted.
  let wasServing: Bool
  var isDone = false
  /// A member was asked to read for it while its client lived.
  var hasBegunBeforeEnd = false
  /// What members were asked to change for it.
  var changesSent: [Range<UInt64>] = []
  /// Members' count of requests when it was submitted, to know a later flush.
  var memberOrders: [Int] = []
  /// Blocks of an unordered command that later commands changed meanwhile.
  var overtaken: Set<Int> = []

  var isChange: Bool { request.operation != .read && request.operation != .flush }

  func value(block: Int) -> UInt64 { request.operation == .write ? Stamp.value(command: number, block: block) : 0 }

  var description: String {
    "command \(number) (\(request.operation) of blocks \(blocks.lowerBound)..<\(blocks.upperBound))"
  }
}

/// A host's connection, as the nexus sees it.
final class SimulatedClient: BlockClient {
  unowned let simulation: NexusSimulation
  var isAlive = true

  init(_ simulation: NexusSimulation) { self.simulation = simulation }

  override func blockRequestCompleted(token: UInt64, status: BlockStatus) {
    simulation.commandCompleted(Int(token), status, for: self)
  }
}
