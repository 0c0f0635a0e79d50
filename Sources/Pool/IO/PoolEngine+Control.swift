import Reactor

/// Changes of what the pool holds. Each answers when it is durable.
extension PoolEngine {
  typealias Done = (PoolError?) -> Void

  private var name: String { superblock.name }

  private func register(_ done: @escaping Done) -> Int {
    nextAction += 1
    actions[nextAction] = done
    return nextAction
  }

  func actionDone(_ number: Int, _ error: PoolError?) {
    let done = actions.removeValue(forKey: number)
    done?(error)
    if isQuiescing { checkQuiescent() }
  }

  /// Makes durable what was done so far.
  func flush(_ done: @escaping Done) { joinSync(.action(register(done))) }

  /// Writes entries durably.
  func change(_ entries: [MetadataEntry], _ done: @escaping Done) {
    if isFaulted { return done(.faulted(pool: name, detail: report.message ?? "")) }
    stage(entries, .action(register(done)))
  }

  // MARK: Replicas

  /// Makes a replica that reads zeros.
  ///
  /// Steps of a thick one: (1) a layer without a name; (2) it is written with zeros, durably; (3) the replica is named. A crash before (3)
  /// leaves a layer that nobody names, so the next opening gives its space back.
  func createReplica(
    id: Identifier, volumeID: Identifier, sizeBytes: UInt64, blockSizeBytes: UInt32, isThick: Bool, done: @escaping Done
  ) {
    guard geometry.isPossible(sizeBytes: sizeBytes, blockSizeBytes: blockSizeBytes) else {
      return done(.invalidReplicaSize(pool: name, byteCount: sizeBytes, blockSizeBytes: blockSizeBytes))
    }
    if let error = refusal(of: id, sizeBytes: sizeBytes) { return done(error) }
    if isThick {
      let freeBytes = UInt64(state.freeCount) << geometry.clusterShift
      guard sizeBytes.roundedUpQuotient(by: geometry.clusterBytes) <= UInt64(state.freeCount) else {
        return done(.noSpace(pool: name, neededBytes: sizeBytes, freeBytes: freeBytes))
      }
    }
    busy.insert(id)
    let (layer, order) = nextNumbers()
    let header = ReplicaHeader(
      id: id, volumeID: volumeID, layer: layer, sizeBytes: sizeBytes, blockSizeBytes: blockSizeBytes, isThick: isThick, order: order)
    let named: Done = { [self] error in
      busy.remove(id)
      done(error)
    }
    let putLayer = MetadataEntry.putLayer(id: layer, parent: 0, clusterCount: clusterCount(sizeBytes))
    if !isThick { return change([putLayer, .putReplica(header)], named) }
    change([putLayer]) { [self] error in
      if let error { return named(error) }
      fill(header, from: 0) { [self] error in
        guard let error else { return change([.putReplica(header)], named) }
        state.dying.append(layer)
        whenDismantled(layer) { _ in named(error) }
      }
    }
  }

  /// Writes zeros into a layer from `start` to the size of the replica that shall have them, durably.
  private func fill(_ header: ReplicaHeader, from start: UInt64, _ done: @escaping Done) {
    guard let layerIndex = state.layerIndexes[header.layer] else { preconditionFailure("a layer that its caller keeps") }
    let device = add(
      Device(replica: header.id, layerIndex: layerIndex, isThick: true, isOpen: true, isHeld: false, changing: 0, inFlight: 0))
    let filler = ThickFiller { [self] status in
      close(device)
      if status == .success { return done(nil) }
      if isFaulted { return done(.faulted(pool: name, detail: report.message ?? "")) }
      done(.noSpace(pool: name, neededBytes: header.sizeBytes - start, freeBytes: UInt64(state.freeCount) << geometry.clusterShift))
    }
    fillers.append(filler)
    unsafe submit(
      BlockRequest(.writeZeroes, offsetBytes: start, byteCount: header.sizeBytes - start, forceUnitAccess: true, token: 0),
      device: device, for: filler, isAccepted: true)
  }

  /// Why a replica of this name and size cannot be made.
  private func refusal(of id: Identifier, sizeBytes: UInt64) -> PoolError? {
    if state.replicas[id] != nil || state.snapshots[id] != nil || busy.contains(id) { return .replicaExists(pool: name, id: id) }
    return shortage(sizeBytes)
  }

  private func shortage(_ addedBytes: UInt64) -> PoolError? {
    if state.lastLayerID >= PoolState.lastLayerLimit - 1 { return .metadataFull(pool: name) }
    let (promised, overflow) = state.promisedBytes.addingReportingOverflow(addedBytes)
    let total = UInt64(geometry.clusterCount) << geometry.clusterShift
    let (product, isHuge) = total.multipliedReportingOverflow(by: UInt64(state.options.overcommitPercent))
    let limit = isHuge ? .max : product / 100
    if overflow || state.options.overcommitPercent > 0 && promised > limit {
      return .overcommitted(pool: name, promisedBytes: overflow ? .max : promised, limitBytes: limit)
    }
    if journal != nil,
      state.promisedObjectBytes + state.objectBytes(sizeBytes: addedBytes) > Superblock.objectBytes(deviceBytes: superblock.deviceBytes)
    {
      return .metadataFull(pool: name)
    }
    return nil
  }

  private func nextNumbers() -> (layer: UInt32, order: UInt64) {
    state.lastLayerID += 1
    state.lastOrder += 1
    return (state.lastLayerID, state.lastOrder)
  }

  private func clusterCount(_ sizeBytes: UInt64) -> UInt32 { UInt32(sizeBytes.roundedUpQuotient(by: geometry.clusterBytes)) }

  /// Deletes a replica that is not open; the answer comes when its clusters are free.
  ///
  /// Steps: (1) the name is removed, durably; (2) the layer, nameless now, is taken apart. A crash after (1) is made good by the
  /// next opening.
  func deleteReplica(id: Identifier, done: @escaping Done) {
    guard let layer = state.replicas[id]?.header.layer else { return done(.unknownReplica(pool: name, id: id)) }
    if busy.contains(id) || isOpen(id) { return done(.replicaInUse(pool: name, id: id)) }
    busy.insert(id)
    change([.removeReplica(id)]) { [self] error in
      busy.remove(id)
      if let error { return done(error) }
      whenDismantled(layer, done)
    }
  }

  private func whenDismantled(_ layer: UInt32, _ done: @escaping Done) {
    guard state.dying.contains(layer), !isFaulted, !isQuiescing else { return done(nil) }
    layerWaiters.append((layer, register(done)))
    dismantle()
  }

  /// Makes a replica larger; what is added reads zeros.
  ///
  /// Steps of a thick one: (1) its layer becomes larger; (2) what is added is written with zeros, durably; (3) the replica becomes
  /// larger. A crash before (3), or an error, leaves space that the replica has and does not use until it grows again or is deleted.
  func growReplica(id: Identifier, sizeBytes: UInt64, done: @escaping Done) {
    guard var header = state.replicas[id]?.header else { return done(.unknownReplica(pool: name, id: id)) }
    guard sizeBytes >= header.sizeBytes, geometry.isPossible(sizeBytes: sizeBytes, blockSizeBytes: header.blockSizeBytes) else {
      return done(.invalidReplicaSize(pool: name, byteCount: sizeBytes, blockSizeBytes: header.blockSizeBytes))
    }
    if busy.contains(id) { return done(.replicaInUse(pool: name, id: id)) }
    if let error = shortage(sizeBytes - header.sizeBytes) { return done(error) }
    let addedClusters = clusterCount(sizeBytes) - clusterCount(header.sizeBytes)
    if header.isThick, Int(addedClusters) > state.freeCount {
      return done(
        .noSpace(
          pool: name, neededBytes: UInt64(addedClusters) << geometry.clusterShift,
          freeBytes: UInt64(state.freeCount) << geometry.clusterShift))
    }
    let parent = state.layerIndexes[header.layer].flatMap { state.layers[$0]?.parent } ?? Layer.none
    let parentID = parent == Layer.none ? 0 : state.layers[parent]!.id
    if let work = dismantling, work.isEnding, work.layer == parentID {
      // Its last record gives the replica's layer another parent.
      busy.insert(id)
      let retry = register { [self] _ in
        busy.remove(id)
        growReplica(id: id, sizeBytes: sizeBytes, done: done)
      }
      layerWaiters.append((work.layer, retry))
      return
    }
    busy.insert(id)
    growing.insert(header.layer)
    let oldBytes = header.sizeBytes
    header.sizeBytes = sizeBytes
    let layer = header.layer
    let grown: Done = { [self] error in
      busy.remove(id)
      done(error)
    }
    let putLayer = MetadataEntry.putLayer(id: layer, parent: parentID, clusterCount: clusterCount(sizeBytes))
    change(header.isThick ? [putLayer] : [putLayer, .putReplica(header)]) { [self] error in
      growing.remove(layer)
      if dismantling?.isHeld == true {
        dismantling!.isHeld = false
        resumeDismantling()
      }
      if error != nil || !header.isThick || sizeBytes == oldBytes { return grown(error) }
      fill(header, from: oldBytes) { [self] error in
        if let error { return grown(error) }
        change([.putReplica(header)], grown)
      }
    }
  }

  // MARK: Snapshots

  /// Freezes a replica's data under a new name.
  ///
  /// Changes of the replica wait until this is recorded; those in flight end first. The replica's layer becomes the snapshot's and
  /// the replica gets an empty one above it, in one record: a crash leaves both or neither.
  ///
  /// `sizeBytes` is the snapshot's size where the replica is larger already; nothing was ever written behind it.
  func createSnapshot(id: Identifier, of replica: Identifier, sizeBytes: UInt64? = nil, done: @escaping Done) {
    guard state.replicas[replica] != nil else { return done(.unknownReplica(pool: name, id: replica)) }
    if state.replicas[id] != nil || state.snapshots[id] != nil || busy.contains(id) { return done(.replicaExists(pool: name, id: id)) }
    if busy.contains(replica) { return done(.replicaInUse(pool: name, id: replica)) }
    if let error = shortage(0) { return done(error) }
    busy.formUnion([id, replica])
    freezing.insert(replica)
    for index in devices.indices where devices[index].isOpen && devices[index].replica == replica { devices[index].isHeld = true }
    let number = register { [self] error in
      if let error { return snapshotEnded(id, replica, error, done) }
      freeze(id, replica, sizeBytes, done)
    }
    drainWaiters.append((replica, number))
    checkDrained(replica)
  }

  /// Tells those who wait for a replica's changes to end, if they have.
  func checkDrained(_ replica: Identifier) {
    guard devices.allSatisfy({ !$0.isOpen || $0.replica != replica || $0.changing == 0 }) else { return }
    let done = drainWaiters.filter { $0.replica == replica }
    drainWaiters.removeAll { $0.replica == replica }
    for waiter in done { actionDone(waiter.action, isFaulted ? .faulted(pool: name, detail: report.message ?? "") : nil) }
  }

  private func freeze(_ id: Identifier, _ replica: Identifier, _ sizeBytes: UInt64?, _ done: @escaping Done) {
    guard var header = state.replicas[replica]?.header else {
      return snapshotEnded(id, replica, .unknownReplica(pool: name, id: replica), done)
    }
    let (layer, order) = nextNumbers()
    let snapshot = SnapshotHeader(
      id: id, volumeID: header.volumeID, layer: header.layer, sizeBytes: min(sizeBytes ?? .max, header.sizeBytes),
      blockSizeBytes: header.blockSizeBytes, order: order)
    header.layer = layer
    // Never a moment in which nobody names the frozen layer.
    change(
      [
        .putLayer(id: layer, parent: snapshot.layer, clusterCount: clusterCount(header.sizeBytes)), .putSnapshot(snapshot),
        .putReplica(header),
      ]
    ) { [self] error in snapshotEnded(id, replica, error, done) }
  }

  private func snapshotEnded(_ id: Identifier, _ replica: Identifier, _ error: PoolError?, _ done: @escaping Done) {
    busy.subtract([id, replica])
    freezing.remove(replica)
    if let layer = state.replicas[replica]?.header.layer, let layerIndex = state.layerIndexes[layer] {
      for index in devices.indices where devices[index].isOpen && devices[index].replica == replica {
        devices[index].isHeld = false
        devices[index].layerIndex = layerIndex
      }
    }
    let held = heldWaiters
    heldWaiters = []
    done(error)
    for index in held { advance(index) }
  }

  /// Deletes a snapshot that nobody reads; what no one else needs becomes free. The answer comes then, or, if it does not wait for
  /// that, when the removal is durable.
  func deleteSnapshot(id: Identifier, waitsForSpace: Bool = true, done: @escaping Done) {
    guard let layer = state.snapshots[id]?.layer else { return done(.unknownSnapshot(pool: name, id: id)) }
    if busy.contains(id) || isOpen(id) { return done(.replicaInUse(pool: name, id: id)) }
    busy.insert(id)
    change([.removeSnapshot(id)]) { [self] error in
      busy.remove(id)
      if let error { return done(error) }
      if waitsForSpace { return whenDismantled(layer, done) }
      done(nil)
      dismantle()
    }
  }

  /// Makes a replica that starts with a snapshot's data.
  func cloneSnapshot(id snapshotID: Identifier, to id: Identifier, volumeID: Identifier, done: @escaping Done) {
    guard let snapshot = state.snapshots[snapshotID] else { return done(.unknownSnapshot(pool: name, id: snapshotID)) }
    if busy.contains(snapshotID) { return done(.replicaInUse(pool: name, id: snapshotID)) }
    if let error = refusal(of: id, sizeBytes: snapshot.sizeBytes) { return done(error) }
    busy.formUnion([id, snapshotID])
    let (layer, order) = nextNumbers()
    let header = ReplicaHeader(
      id: id, volumeID: volumeID, layer: layer, sizeBytes: snapshot.sizeBytes, blockSizeBytes: snapshot.blockSizeBytes, isThick: false,
      order: order)
    change([.putLayer(id: layer, parent: snapshot.layer, clusterCount: clusterCount(snapshot.sizeBytes)), .putReplica(header)]) {
      [self] error in
      busy.subtract([id, snapshotID])
      done(error)
    }
  }

  // MARK: What a nexus tells a replica

  /// Stores a claim (R3). The caller has compared generations.
  func storeClaim(_ claim: ReplicaClaim, of id: Identifier, done: @escaping Done) {
    guard state.replicas[id] != nil, claim.inSync.count <= ReplicaClaim.maximumMembers else {
      return done(.unknownReplica(pool: name, id: id))
    }
    change([.claim(replica: id, claim)], done)
  }

  /// Ranges of regions in one group of entries, which has to fit into a record.
  private static let regionsPerGroup = 256

  /// Takes regions into a set of regions, or out of it. Those that are in it already cost nothing. Of many ranges some may be durable
  /// before the others are.
  func setRegions(_ set: RegionSetName, of id: Identifier, _ regions: [Range<Int>], isMember: Bool, done: @escaping Done) {
    guard let replica = state.replicas[id] else { return done(.unknownReplica(pool: name, id: id)) }
    let count = Int(replica.header.sizeBytes.roundedUpQuotient(by: state.options.regionBytes))
    guard regions.allSatisfy({ $0.lowerBound >= 0 && $0.upperBound <= count }), UInt64(count) <= MetadataEntry.maximumRegions else {
      return done(.invalidRegion(pool: name, replica: id))
    }
    if case .missed(let peer) = set, !replica.missed.contains(where: { $0.peer == peer }), !hasRoom(forPeerOf: replica) {
      return done(.metadataFull(pool: name))
    }
    if set == .activity && isMember {
      let added = regions.reduce(0) { $0 + $1.reduce(0) { $0 + (replica.activity.contains($1) ? 0 : 1) } }
      // A change on its way may take out what is in it now.
      let isSettled = stagedEntries.isEmpty && commits.isEmpty && journal?.durableSequence == journal?.writtenSequence
      if added == 0 && isSettled { return done(nil) }
      guard replica.activity.count + added <= Int(state.options.maximumHotRegions) else {
        return done(.activityLogFull(pool: name, replica: id, regionCount: replica.activity.count))
      }
    }
    if isFaulted { return done(.faulted(pool: name, detail: report.message ?? "")) }
    // As many as a record takes; the last record makes those before it durable too.
    var entries: [MetadataEntry] = []
    // Without a region, what is left to say is that there is a set.
    for range in regions.isEmpty ? [0..<0] : regions {
      entries.append(.regions(replica: id, set: set, first: UInt32(range.lowerBound), count: UInt32(range.count), isMember: isMember))
      if (entries.count + 1) * Self.regionsEntryBytes > maximumGroupBytes {
        stage(entries, .nobody)
        entries = []
      }
    }
    change(entries, done)
  }

  /// What `regions` takes in a record.
  private static let regionsEntryBytes = 42

  /// Whether a checkpoint will have room for what one more peer missed.
  private func hasRoom(forPeerOf replica: ReplicaState) -> Bool {
    guard replica.missed.count < ReplicaClaim.maximumMembers else { return false }
    if journal == nil || replica.missed.count < PoolState.promisedPeers { return true }
    let added = state.regionSetBytes(sizeBytes: replica.header.sizeBytes)
    return state.promisedObjectBytes + added <= Superblock.objectBytes(deviceBytes: superblock.deviceBytes)
  }

  /// Forgets what a peer missed: it is equal again, or gone for good.
  func forgetPeer(_ peer: Identifier, of id: Identifier, done: @escaping Done) {
    guard state.replicas[id] != nil else { return done(.unknownReplica(pool: name, id: id)) }
    change([.forgetPeer(replica: id, peer: peer)], done)
  }

  /// The replica is equal to its peers again: nothing is lost any more (R7).
  func clearLostCache(of id: Identifier, done: @escaping Done) {
    guard let replica = state.replicas[id] else { return done(.unknownReplica(pool: name, id: id)) }
    change([.opened(replica: id, bootID: replica.bootID, mayHaveLostCache: false)], done)
  }

  func setOptions(_ options: PoolOptions, done: @escaping Done) {
    // Logged regions have the old size.
    let keepsRegions = options.regionBytes == state.options.regionBytes || state.replicas.isEmpty
    guard options.isValid, keepsRegions else { return done(.invalidOptions(pool: name)) }
    change([.options(options)], done)
  }

  func remember(_ memory: StoreMemory, done: @escaping Done) {
    if memory == state.storeMemory { return done(nil) }
    change([.storeMemory(memory)], done)
  }

  func setVolumeName(_ volumeName: String, of id: Identifier, done: @escaping Done) {
    guard let replica = state.replicas[id] else { return done(.unknownReplica(pool: name, id: id)) }
    precondition(StoreMemory.isName(volumeName), "names are checked where they are given")
    if replica.volumeName == volumeName { return done(nil) }
    change([.volumeName(replica: id, name: volumeName)], done)
  }

  // MARK: Devices

  func isOpen(_ id: Identifier) -> Bool { devices.contains { $0.isOpen && $0.replica == id } }

  /// Opens a device on a replica that exists, and notes the boot under which that is (R7).
  func open(_ id: Identifier) -> Int {
    guard let replica = state.replicas[id], let layerIndex = state.layerIndexes[replica.header.layer] else {
      preconditionFailure("a replica that does not exist is opened")
    }
    let device = Device(
      replica: id, layerIndex: layerIndex, isThick: replica.header.isThick, isOpen: true,
      isHeld: freezing.contains(id), changing: 0, inFlight: 0)
    if replica.bootID != bootID, !isFaulted {
      let hasLost = replica.bootID != .none && replica.activity.count > 0
      stage([.opened(replica: id, bootID: bootID, mayHaveLostCache: replica.mayHaveLostCache || hasLost)], .nobody)
    }
    return add(device)
  }

  /// Opens a device on a snapshot, to be read only. It is not deleted until that is closed. Nil if there is none, or it is on its way out.
  func openSnapshot(_ id: Identifier) -> Int? {
    guard let snapshot = state.snapshots[id], !busy.contains(id), let layerIndex = state.layerIndexes[snapshot.layer] else { return nil }
    return add(
      Device(replica: id, layerIndex: layerIndex, isThick: false, isOpen: true, isHeld: false, changing: 0, inFlight: 0))
  }

  private func add(_ device: Device) -> Int {
    if let free = devices.firstIndex(where: { !$0.isOpen && $0.inFlight == 0 }) {
      devices[free] = device
      return free
    }
    devices.append(device)
    return devices.count - 1
  }

  func close(_ device: Int) { devices[device].isOpen = false }
}

/// Hears of the end of the zeros that give a thick replica its clusters.
final class ThickFiller: BlockClient {
  private var body: ((BlockStatus) -> Void)?
  init(_ body: @escaping (BlockStatus) -> Void) { self.body = body }

  override func blockRequestCompleted(token: UInt64, status: BlockStatus) {
    let told = body
    body = nil
    told?(status)
  }
}
