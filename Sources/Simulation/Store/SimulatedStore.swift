import Nexus
import Pool

/// What the state store says of the one volume.
struct StoreRecord: Equatable {
  var revision: UInt64 = 1
  var generation: UInt64 = 0
  var setVersion: UInt64 = 1
  var nexusID = Identifier.none
  var members: [Identifier]
  var absent: [Absent] = []
  /// The latest generation that served.
  var confirmedGeneration: UInt64 = 0
  var sizeBytes: UInt64
  var snapshots: [VolumeSnapshot] = []

  struct Absent: Equatable {
    let id: Identifier
    /// The latest that it is known to have accepted.
    var generation: UInt64
    /// A force came between it and the set (R6).
    var isForeign = false
    /// That force left it behind: nobody touches it.
    var isKept = false
  }

  /// An operator's force: a new lineage from one replica. Who was a member, or left later, is kept as it is.
  mutating func force(_ replica: Identifier) {
    let place = absent.firstIndex { $0.id == replica }
    for index in absent.indices {
      absent[index].isForeign = true
      if let place, index > place { absent[index].isKept = true }
    }
    absent.removeAll { $0.id == replica }
    absent += members.filter { $0 != replica }.map { Absent(id: $0, generation: 0, isForeign: true, isKept: true) }
    members = [replica]
    setVersion += 1
    generation += 1
    nexusID = .none
    confirmedGeneration = 0
  }

  mutating func discard(_ replica: Identifier) {
    for index in absent.indices where absent[index].id == replica { absent[index].isKept = false }
  }

  /// It is no longer a replica of the volume.
  mutating func forget(_ replica: Identifier) {
    if !members.contains(replica) { absent.removeAll { $0.id == replica } }
  }
}

/// A state store on a machine of its own: takes transactions one after the other; requests and replies may be late or lost.
final class SimulatedStore {
  enum Reply {
    /// Done, or not because of what the record said; with the record as it is then.
    case answered(isDone: Bool, StoreRecord)
    /// Whether it was done, or will be, is not known.
    case lost
  }

  private let world: World
  private let network: Network
  private(set) var record: StoreRecord
  /// The store's place in the network.
  let place: Int
  var delayNanoseconds: ClosedRange<UInt64> = 200_000...3_000_000
  var isAway = false
  var lostReplyPercent = 0
  /// How many requests come only after their sender gave up.
  var lateRequestPercent = 0
  /// What was done, for tests to look at.
  var changed: (StoreRecord) -> Void = { _ in }
  private static let patienceNanoseconds: UInt64 = 1_000_000_000

  /// What an operator or the controller does, for whom nothing is late or lost.
  func change(_ body: (inout StoreRecord) -> Void) {
    body(&record)
    record.revision += 1
    changed(record)
  }

  init(world: World, network: Network, place: Int, members: [Identifier], sizeBytes: UInt64) {
    self.world = world
    self.network = network
    self.place = place
    record = StoreRecord(members: members, sizeBytes: sizeBytes)
  }

  /// Sends a transaction; `body` returns whether it does anything. The reply comes to the process, or is lost after a while.
  func transact(from process: NodeProcess, _ body: @escaping (inout StoreRecord) -> Bool, then reply: @escaping (Reply) -> Void) {
    var isReplied = false
    let tell = { (answer: Reply) in
      if isReplied { return }
      isReplied = true
      reply(answer)
    }
    let isLate = world.generator.chance(lateRequestPercent)
    let travel = world.generator.within(delayNanoseconds) + (isLate ? Self.patienceNanoseconds * 2 : 0)
    world.after(travel) { [self] in
      guard !isAway, isLate || network.isOpen(between: process.node, and: place) else { return }
      var changed = record
      let isDone = body(&changed)
      if isDone {
        changed.revision += 1
        record = changed
        world.note(.store, Int(record.generation), Int(record.setVersion)) {
          "generation \(record.generation).\(record.setVersion), \(record.members.count) members, \(record.absent.count) absent"
        }
        self.changed(record)
      }
      let result = record
      if world.generator.chance(lostReplyPercent) { return }
      world.after(world.generator.within(delayNanoseconds)) { [self] in
        guard network.isOpen(from: place, to: process.node) else { return }
        process.enqueue { tell(.answered(isDone: isDone, result)) }
      }
    }
    world.after(Self.patienceNanoseconds, in: process) { tell(.lost) }
  }
}
