@testable import Pool

/// What a pool must hold after a crash at any moment of a run, as told by the answers it gave.
///
/// Moments are numbers of events of a `SimulatedDisk`: a crash *at* moment m comes before event m. Contents are one number per
/// sector of 512 bytes, and each sector remembers the values it was given.
struct PoolModel {
  struct Version {
    var value: UInt32
    /// No crash at or before this moment can show it.
    var submitted: Int
    /// From here on it is there if only the process dies.
    var acknowledged = Int.max
    /// From here on it is there after a power loss.
    var durable = Int.max

    /// There from the beginning.
    static func settled(_ value: UInt32) -> Version { Version(value: value, submitted: -1, acknowledged: -1, durable: -1) }
  }

  /// What changes as a whole and is durable when it is answered.
  struct Change<Value> {
    var value: Value
    var submitted: Int
    var acknowledged = Int.max
  }

  /// What a nexus told a replica.
  struct Told: Equatable {
    var claim = ReplicaClaim.none
    var activity: [Int] = []
    var missed: [[Int]] = []
    var peers: [Identifier] = []

    init() {}

    init(_ state: ReplicaState) {
      claim = state.claim
      activity = state.activity.members
      missed = state.missed.map(\.regions.members)
      peers = state.missed.map(\.peer)
    }

    mutating func change(_ set: RegionSetName, _ regions: Range<Int>, _ isMember: Bool) {
      func changed(_ old: [Int]) -> [Int] {
        let others = old.filter { !regions.contains($0) }
        return isMember ? (others + regions).sorted() : others
      }
      switch set {
      case .activity: activity = changed(activity)
      case .missed(let peer):
        var index = 0
        while index < peers.count, peers[index] < peer { index += 1 }
        if index == peers.count || peers[index] != peer {
          peers.insert(peer, at: index)
          missed.insert([], at: index)
        }
        missed[index] = changed(missed[index])
      }
    }

    mutating func forget(_ peer: Identifier) {
      guard let index = peers.firstIndex(of: peer) else { return }
      peers.remove(at: index)
      missed.remove(at: index)
    }
  }

  struct Object {
    var isReplica: Bool
    var isThick = false
    var sectors: [[Version]]
    /// The sectors with more than one version, perhaps more than once.
    var open: [Int] = []
    /// Counts of sectors.
    var sizes: [Change<Int>]
    var told: [Change<Told>]
    var created: Change<Void>
    var deleted = Change<Void>(value: (), submitted: .max)

    /// One that comes into being at `moment`, with zeros.
    init(sectors count: Int, isReplica: Bool, at moment: Int) {
      self.isReplica = isReplica
      sectors = [[Version]](repeating: [.settled(0)], count: count)
      sizes = [Change(value: count, submitted: moment, acknowledged: moment)]
      told = [Change(value: Told(), submitted: moment, acknowledged: moment)]
      created = Change(value: (), submitted: moment)
    }

    mutating func add(_ version: Version, to sector: Int) {
      sectors[sector].append(version)
      open.append(sector)
    }

    var current: [UInt32] { sectors.map { $0[$0.count - 1].value } }
    /// Sectors that requests may touch.
    var size: Int { sizes.last { $0.acknowledged < .max }!.value }
  }

  var objects: [Identifier: Object] = [:]

  /// Calls durable what was acknowledged before a flush that was asked for at `submitted` and answered at `acknowledged`.
  mutating func flushed(submitted: Int, acknowledged: Int) {
    for id in objects.keys.sorted() {
      guard var object = objects.removeValue(forKey: id) else { continue }
      for sector in object.open {
        for index in object.sectors[sector].indices
        where object.sectors[sector][index].acknowledged <= submitted && object.sectors[sector][index].durable > acknowledged {
          object.sectors[sector][index].durable = acknowledged
        }
      }
      objects[id] = object
    }
  }

  /// Forgets what no crash from `moment` on can show.
  mutating func prune(at moment: Int) {
    for id in objects.keys.sorted() {
      guard var object = objects.removeValue(forKey: id), object.deleted.acknowledged > moment else { continue }
      var open: [Int] = []
      for sector in Set(object.open).sorted() {
        if let last = object.sectors[sector].lastIndex(where: { $0.durable <= moment }), last > 0 {
          object.sectors[sector].removeFirst(last)
        }
        if object.sectors[sector].count > 1 { open.append(sector) }
      }
      object.open = open
      object.sizes = [object.sizes.last!]
      object.told = [object.told.last!]
      objects[id] = object
    }
  }

  /// What is wrong with what a crash at `moment` left; nil if nothing. `isKill`: the device kept its cache.
  func flaw(_ state: borrowing PoolState, at moment: Int, isKill: Bool, content: (Identifier) -> [UInt32]) -> String? {
    for id in objects.keys.sorted() {
      let object = objects[id]!
      let kind = object.isReplica ? "replica" : "snapshot"
      guard state.replicas[id] != nil || state.snapshots[id] != nil else {
        if object.created.acknowledged <= moment && object.deleted.submitted >= moment { return "\(kind) \(id) is gone" }
        continue
      }
      if object.created.submitted >= moment { return "\(kind) \(id) is there before its time" }
      if object.deleted.acknowledged <= moment { return "\(kind) \(id) is back from the dead" }
      let found = content(id)
      let sizes = Self.possible(object.sizes, at: moment)
      if !sizes.contains(found.count) { return "\(kind) \(id) has \(found.count) sectors, not \(sizes)" }
      for (sector, value) in found.enumerated() where sector < object.sectors.count {
        let versions = object.sectors[sector]
        if versions.count == 1, versions[0].value == value { continue }
        let first = versions.lastIndex { (isKill ? $0.acknowledged : $0.durable) <= moment } ?? 0
        if versions[first].value != value, !versions[first...].contains(where: { $0.value == value && $0.submitted < moment }) {
          return "sector \(sector) of \(kind) \(id) is \(value), not one of \(versions)"
        }
      }
      if let replica = state.replicas[id] {
        let told = Self.possible(object.told, at: moment)
        if !told.contains(Told(replica)) { return "replica \(id) was told \(Told(replica)), not one of \(told)" }
      }
    }
    for id in state.replicas.keys.sorted() + state.snapshots.keys.sorted() where objects[id] == nil { return "\(id) was never asked for" }
    return nil
  }

  private static func possible<Value>(_ changes: [Change<Value>], at moment: Int) -> [Value] {
    let first = changes.lastIndex { $0.acknowledged <= moment } ?? 0
    return [changes[first].value] + changes[(first + 1)...].filter { $0.submitted < moment }.map(\.value)
  }

  /// Takes what a crash left for the truth.
  mutating func settle(_ state: borrowing PoolState, content: (Identifier) -> [UInt32]) {
    for id in objects.keys.sorted() {
      guard state.replicas[id] != nil || state.snapshots[id] != nil else {
        objects[id] = nil
        continue
      }
      let found = content(id)
      let old = objects[id]!
      var object = Object(sectors: 0, isReplica: old.isReplica, at: -1)
      object.isThick = old.isThick
      object.created.acknowledged = -1
      object.sectors = found.map { [.settled($0)] }
      object.sizes = [Change(value: found.count, submitted: -1, acknowledged: -1)]
      object.told = [Change(value: state.replicas[id].map { Told($0) } ?? Told(), submitted: -1, acknowledged: -1)]
      objects[id] = object
    }
  }
}
