import Foundation

/// What a leading controller has to look at, and what it decides: the state, kept current by the watch, and the volumes and nodes that changes
/// concern. Without I/O of its own, so that it can be driven by tests.
struct ControlQueue {
  /// A transaction of several steps, at most as large as any store takes.
  struct Batch {
    var transaction: StoreTransaction
    var steps: [Reconciler.Step]
    fileprivate var volumes: [VolumeID]
    fileprivate var nodes: [String]
    fileprivate var isAboutStore = false
  }

  /// Of a transaction, one of which is the lead.
  static let maximumCompares = StoreLimits.maximumCompares - 1
  /// Well below what is allowed in all, as one step may be large.
  private static let targetBytes = StoreLimits.maximumTransactionBytes / 4

  private(set) var state: ClusterState
  private let policy: ControllerPolicy
  private var dirtyVolumes = WaitingLine<VolumeID>()
  private var dirtyNodes = WaitingLine<String>()
  /// Those that have found no place.
  private var waitingForRoom: Set<VolumeID> = []
  /// Those refused by the store, which is ahead: the watch will tell.
  private var refusedVolumes: Set<VolumeID> = []
  private var refusedNodes: Set<String> = []
  private var isStoreStepRefused = false
  private var dueAt: [VolumeID: Date] = [:]
  /// How many replicas of a volume are outside its in-sync set, on nodes that run.
  private var buildCounts: [VolumeID: Int] = [:]
  private var buildCount = 0
  /// How many decisions have been made.
  private(set) var decisionCount = 0

  init(_ state: ClusterState, policy: ControllerPolicy = ControllerPolicy()) {
    self.state = state
    self.policy = policy
    let volumes = state.volumes.map(\.object.id)
    dirtyVolumes.append(volumes)
    dirtyNodes.append(state.nodeNames)
    for volume in volumes { countBuilds(volume) }
  }

  /// Takes what the watch tells.
  mutating func apply(_ batch: StoreWatchBatch) {
    let changes = state.apply(batch)
    note(changes)
    isStoreStepRefused = false
    dirtyVolumes.append(refusedVolumes.sorted())
    dirtyNodes.append(refusedNodes.sorted())
    refusedVolumes = []
    refusedNodes = []
  }

  /// Takes what the controller has found out about nodes that others say are lost.
  mutating func setReached(_ incarnations: Set<String>) {
    if incarnations != state.reached { note(state.setReached(incarnations)) }
  }

  /// Nothing is to be done before something changes or this time comes; nil if time alone changes nothing.
  var nextDue: Date? { dueAt.values.min() }

  var isIdle: Bool { dirtyVolumes.isEmpty && dirtyNodes.isEmpty }

  /// The next transaction; nil when there is nothing to do now. Tell what became of it by `committed` or `refused`.
  mutating func next(now: Date, using random: inout some RandomNumberGenerator) -> Batch? {
    if !isStoreStepRefused, let step = Reconciler.stateDoubt(state) {
      return Batch(transaction: step.transaction, steps: [step], volumes: [], nodes: [], isAboutStore: true)
    }
    // What a store says that went back is no ground for anything; all is looked at again when it is confirmed.
    if state.doubtForAll != nil { return nil }
    if let due = nextDue, due <= now { dirtyVolumes.append(dueAt.filter { $0.value <= now }.keys.sorted()) }
    var surroundings = Reconciler.Surroundings(now: now, policy: policy)
    var batch = Batch(transaction: StoreTransaction(operations: []), steps: [], volumes: [], nodes: [])
    var byteCount = 0
    var building = buildCount
    while let node = dirtyNodes.popFirst() {
      decisionCount += 1
      guard let step = Reconciler.decide(node: node, state, surroundings).step else { continue }
      if !Self.add(step, to: &batch, &byteCount) {
        dirtyNodes.prepend(node)
        return batch
      }
      batch.nodes.append(node)
    }
    while let volume = dirtyVolumes.popFirst() {
      waitingForRoom.remove(volume)
      dueAt[volume] = nil
      for key in state.volumeKeys(of: volume) {
        guard let stored = state.volumesByKey[key] else { continue }
        decisionCount += 1
        surroundings.mayBuild = building < policy.maximumBuilds
        let decision = Reconciler.decide(stored, state, surroundings, using: &random)
        if decision.waitsForRoom { waitingForRoom.insert(volume) }
        if let due = decision.dueAt { dueAt[volume] = min(dueAt[volume] ?? due, due) }
        guard let step = decision.step else { continue }
        if !Self.add(step, to: &batch, &byteCount) {
          dirtyVolumes.prepend(volume)
          return batch
        }
        batch.volumes.append(volume)
        if let placed = decision.placed {
          surroundings.ledger.add(placed.choices, nexusNode: placed.nexusNode, placed.spec)
          if placed.nexusNode == nil { building += placed.choices.count }
        }
      }
    }
    return batch.steps.isEmpty ? nil : batch
  }

  /// False if it has no room in the batch. One alone always has.
  private static func add(_ step: Reconciler.Step, to batch: inout Batch, _ byteCount: inout Int) -> Bool {
    let size = step.transaction.operations.reduce(0) { size, operation in
      if case .put(let key, let value, _) = operation { return size + key.utf8.count + value.count }
      return size + operation.key.utf8.count
    }
    let compares = batch.transaction.compares.count + step.transaction.compares.count
    let operations = batch.transaction.operations.count + step.transaction.operations.count
    let isTooLarge = compares > maximumCompares || operations > StoreLimits.maximumOperations || byteCount + size > targetBytes
    // No key is changed twice in one transaction: two specifications may name one volume by mistake.
    let keys = Set(batch.transaction.operations.map(\.key))
    if !batch.steps.isEmpty, isTooLarge || step.transaction.operations.contains(where: { keys.contains($0.key) }) { return false }
    batch.transaction.compares += step.transaction.compares
    batch.transaction.operations += step.transaction.operations
    batch.steps.append(step)
    byteCount += size
    return true
  }

  /// The transaction is in the store: the state shows it at once, so that the next decision does not give away the same place again.
  mutating func committed(_ transaction: StoreTransaction, at revision: StoreRevision) {
    note(state.apply(transaction, committedAt: revision))
  }

  /// One step of the batch, alone, was refused: it is looked at again when the watch has told more.
  mutating func refused(_ position: Int, of batch: Batch) {
    if batch.isAboutStore {
      isStoreStepRefused = true
      return
    }
    if position < batch.nodes.count {
      refusedNodes.insert(batch.nodes[position])
    } else {
      refusedVolumes.insert(batch.volumes[position - batch.nodes.count])
    }
  }

  private mutating func note(_ changes: ClusterChanges) {
    let before = buildCount
    for volume in changes.volumes { countBuilds(volume) }
    dirtyVolumes.append(changes.volumes.sorted())
    dirtyNodes.append(changes.nodes.sorted())
    if !waitingForRoom.isEmpty, changes.hasMoreRoom || buildCount < before { dirtyVolumes.append(waitingForRoom.sorted()) }
  }

  private mutating func countBuilds(_ volume: VolumeID) {
    var count = 0
    if let record = state.inSync(volume)?.object {
      for replica in state.replicaAssignments(of: volume)
      where !replica.object.deleting && state.node(replica.node) != nil && !record.members.contains(replica.object.id) { count += 1 }
    }
    buildCount += count - (buildCounts[volume] ?? 0)
    buildCounts[volume] = count == 0 ? nil : count
  }
}

/// Each element at most once, in the order in which they came.
private struct WaitingLine<Element: Hashable & Sendable>: Sendable {
  private var elements: [Element] = []
  private var head = 0
  private var present: Set<Element> = []

  var isEmpty: Bool { present.isEmpty }

  mutating func append(_ new: [Element]) {
    for element in new where present.insert(element).inserted { elements.append(element) }
  }

  /// Puts back what was just taken.
  mutating func prepend(_ element: Element) {
    guard present.insert(element).inserted else { return }
    if head > 0 {
      head -= 1
      elements[head] = element
    } else {
      elements.insert(element, at: 0)
    }
  }

  mutating func popFirst() -> Element? {
    guard head < elements.count else { return nil }
    let element = elements[head]
    head += 1
    present.remove(element)
    if head == elements.count || head > 4096 {
      elements.removeFirst(head)
      head = 0
    }
    return element
  }
}
