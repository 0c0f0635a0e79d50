import Foundation

@testable import Control

/// The same numbers for the same seed (SplitMix64, Steele et al. 2014).
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// A store without time: entries, one revision, compares.
struct SimulatedStore {
  private(set) var entries: [String: StoreEntry] = [:]
  private(set) var revision: StoreRevision = 0
  /// Transactions that changed something.
  private(set) var writeCount = 0

  var snapshot: [StoreEntry] { entries.values.sorted { $0.key < $1.key } }
  private(set) var state = ClusterState([])

  mutating func apply(_ transaction: StoreTransaction) throws -> Bool {
    try StoreLimits.validate(transaction)
    for compare in transaction.compares {
      let found = entries[compare.key]
      switch compare {
      case .modRevision(_, let revision): if (found?.modRevision ?? 0) != revision { return false }
      case .absent: if found != nil { return false }
      case .value(_, let value): if found?.value != value { return false }
      }
    }
    revision += 1
    writeCount += 1
    defer {
      state.revision = revision
      state.apply(transaction, committedAt: revision)
    }
    for operation in transaction.operations {
      switch operation {
      case .put(let key, let value, _):
        let found = entries[key]
        entries[key] = StoreEntry(
          key: key, value: value, createRevision: found?.createRevision ?? revision, modRevision: revision,
          version: (found?.version ?? 0) + 1)
      case .delete(let key): entries[key] = nil
      }
    }
    return true
  }

  mutating func put<Object: StoredObject>(_ key: String, _ object: Object) throws {
    _ = try apply(StoreTransaction(operations: [.put(key: key, value: object.encoded())]))
  }

  mutating func remove(_ key: String) throws { _ = try apply(StoreTransaction(operations: [.delete(key: key)])) }
}

/// A node that does as it is told, one small step at a time, and may die between any two.
struct SimulatedNode {
  let name: String
  let capacityBytes: UInt64
  var isRunning = false
  /// It runs and does nothing.
  var isStuck = false
  /// What is on its disk, with sizes.
  var disk: [ReplicaID: UInt64] = [:]
  /// Replicas that it had and that its pool no longer holds.
  var lost: Set<ReplicaID> = []
  /// The nexuses in its memory.
  var nexuses: Set<VolumeID> = []

  static let clusterBytes: UInt64 = 1 << 20

  var freeBytes: UInt64 {
    let used = disk.values.reduce(0, +)
    return used > capacityBytes ? 0 : capacityBytes - used
  }

  mutating func start(_ store: inout SimulatedStore) throws {
    isRunning = true
    try store.put(
      Keys.nodeStatus(name),
      NodeStatus(
        name: name, pid: 1, incarnation: "process of \(name)", addresses: [.init(adrfam: "ipv4", traddr: "127.0.0.1", trsvcid: "4420")],
        ioEngine: "io_uring", state: .ready, startedAt: Date(timeIntervalSince1970: 0)))
    try reportPool(&store)
  }

  mutating func die(_ store: inout SimulatedStore) throws {
    isRunning = false
    nexuses = []
    try store.remove(Keys.nodeStatus(name))
  }

  /// Does the `choice`-th thing there is to do. False if there is nothing.
  mutating func step(_ choice: UInt64, _ store: inout SimulatedStore) throws -> Bool {
    if isStuck { return false }
    let state = store.state
    var work: [(inout SimulatedNode, inout SimulatedStore) throws -> Void] = []
    let replicas = state.replicaAssignments.filter { $0.node == name }.map(\.object)
    for assignment in replicas {
      let key = Keys.replicaStatus(node: name, assignment.id)
      let found = state.replicaStatus(node: name, assignment.id)?.state
      func report(_ state: ReplicaStatus.State, _ store: inout SimulatedStore) throws {
        try store.put(key, ReplicaStatus(id: assignment.id, volumeID: assignment.volumeID, pool: "default", state: state))
      }
      if assignment.deleting {
        if disk[assignment.id] != nil {
          work.append { node, _ in node.disk[assignment.id] = nil }
        } else if found != .deleted {
          work.append { node, store in
            try node.reportPool(&store)
            try report(.deleted, &store)
          }
        }
      } else if lost.contains(assignment.id) {
        if found != .faulted {
          let status = ReplicaStatus(id: assignment.id, volumeID: assignment.volumeID, pool: "default", state: .faulted, isLost: true)
          work.append { _, store in try store.put(key, status) }
        }
      } else if disk[assignment.id] == nil {
        // A node may say so first or just begin: a missing status says nothing about the disk.
        if found == nil { work.append { _, store in try report(.creating, &store) } }
        work.append { node, _ in node.disk[assignment.id] = assignment.sizeBytes }
      } else if found != .ready {
        work.append { node, store in
          try node.reportPool(&store)
          try report(.ready, &store)
        }
      }
    }
    let assigned = Set(replicas.map(\.id))
    for status in state.replicaStatuses where status.node == name && !assigned.contains(status.object.id) {
      work.append { _, store in try store.remove(status.stored.key) }
    }
    let wanted = state.nexusAssignments.filter { $0.node == name }.map(\.object)
    for assignment in wanted {
      let key = Keys.nexusStatus(node: name, assignment.volumeID)
      let found = state.nexusStatus(node: name, assignment.volumeID)
      if assignment.handsOver == true, !assignment.deleting {
        if nexuses.contains(assignment.volumeID) {
          work.append { node, _ in node.nexuses.remove(assignment.volumeID) }
        } else if found?.handedOver != true {
          var status = NexusStatus(volumeID: assignment.volumeID, state: .starting, generation: 1, replicas: [])
          status.handedOver = true
          work.append { _, store in try store.put(key, status) }
        }
      } else if assignment.deleting {
        if nexuses.contains(assignment.volumeID) {
          work.append { node, _ in node.nexuses.remove(assignment.volumeID) }
        } else if found != nil {
          work.append { _, store in try store.remove(key) }
        }
      } else if !nexuses.contains(assignment.volumeID) {
        work.append { node, store in
          node.nexuses.insert(assignment.volumeID)
          try store.put(key, NexusStatus(volumeID: assignment.volumeID, state: .starting, generation: 1, replicas: []))
        }
      } else if let record = state.inSync(assignment.volumeID)?.object, record.generation == 0 {
        // As a nexus does: a new volume is claimed when all its replicas are there.
        if assignment.replicas.allSatisfy({ state.replicaStatus(node: $0.node, $0.id)?.state == .ready }) {
          var claimed = record
          claimed.generation = 1
          work.append { _, store in try store.put(Keys.inSync(assignment.volumeID), claimed) }
        }
      } else if let change = membershipChange(assignment, state) {
        work.append { _, store in try store.put(Keys.inSync(assignment.volumeID), change) }
      } else if found?.state == .starting, assignment.replicas.allSatisfy({ state.replicaStatus(node: $0.node, $0.id)?.state == .ready }) {
        let seen = assignment.replicas.map { NexusStatus.Replica(id: $0.id, node: $0.node, state: .inSync) }
        work.append { _, store in
          try store.put(key, NexusStatus(volumeID: assignment.volumeID, state: .healthy, generation: 1, replicas: seen))
        }
      }
    }
    let served = Set(wanted.map(\.volumeID))
    for volume in nexuses.subtracting(served).sorted() { work.append { node, _ in node.nexuses.remove(volume) } }
    for status in state.nexusStatuses where status.node == name {
      let volume = status.object.volumeID
      if !served.contains(volume), !nexuses.contains(volume) { work.append { _, store in try store.remove(status.stored.key) } }
    }
    for assignment in state.pathAssignments where assignment.node == name {
      let status = PathStatus(volumeID: assignment.object.volumeID, hosts: assignment.object.publications)
      let key = Keys.pathStatus(node: name, status.volumeID)
      if state.pathStatus(node: name, status.volumeID) != status { work.append { _, store in try store.put(key, status) } }
    }
    let standing = Set(state.pathAssignments.filter { $0.node == name }.map(\.object.volumeID))
    for key in state.pathStatusKeys(of: name) {
      guard let volume = key.split(separator: "/").last.flatMap({ VolumeID(String($0)) }), !standing.contains(volume) else { continue }
      work.append { _, store in try store.remove(key) }
    }
    if work.isEmpty { return false }
    try work[Int(choice % UInt64(work.count))](&self, &store)
    return true
  }

  /// What the nexus does about replicas that came or went: those that are ready join, those that are not in its list leave while others are
  /// there, and are forgotten.
  private func membershipChange(_ assignment: NexusAssignment, _ state: ClusterState) -> InSyncRecord? {
    guard let record = state.inSync(assignment.volumeID)?.object else { return nil }
    var next = record
    let listed = assignment.replicas.map(\.id)
    for replica in assignment.replicas where !next.members.contains(replica.id) {
      if state.node(replica.node) != nil, state.replicaStatus(node: replica.node, replica.id)?.state == .ready {
        next.members.append(replica.id)
      }
    }
    let isLost = { (id: ReplicaID) in
      assignment.replicas.contains { $0.id == id && state.replicaStatus(node: $0.node, id)?.isLost == true }
    }
    let rest = next.members.filter { listed.contains($0) && !isLost($0) }
    if rest.count >= assignment.effectiveMinInSync {
      for id in next.members where isLost(id) { next.out.append(.init(id: id, reason: "it is lost", atGeneration: record.generation)) }
      next.members = rest
    }
    next.out.removeAll { !listed.contains($0.id) }
    if next == record { return nil }
    if next.members != record.members { next.setVersion += 1 }
    return next
  }

  private func reportPool(_ store: inout SimulatedStore) throws {
    try store.put(
      Keys.poolStatus(node: name, "default"),
      PoolStatus(
        name: "default", uuid: "u", kind: .file, path: "/p", sizeBytes: capacityBytes, freeBytes: freeBytes,
        promisedBytes: capacityBytes - freeBytes,
        clusterBytes: Self.clusterBytes, state: .ready))
  }
}
