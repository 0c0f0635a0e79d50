import Glibc
import Reactor
import Testing

@testable import Pool

/// A pool on a simulated disk beside the model of what it must hold, driven by one seed.
@safe final class PoolSimulation {
  struct Options {
    /// Where a failing seed is to be found.
    var suite = "PowerLossTests"
    /// Makes the seeds of one test different from those of others.
    var salt: UInt64 = 0
    var clusterBytes: UInt64 = 64 << 10
    var clusterCount: UInt64 = 28
    var journalBytes: UInt64 = 128 << 10
    var canZero = true
    var maximumSectors = 800
    var maximumReplicas = 4
    /// Of what a power loss may leave at each event: where few writes are open all subsets of them are looked at, and so many samples
    /// besides.
    var samplesPerEvent = 0
    /// Up to so many open writes or sectors all subsets are looked at.
    var exhaustiveWrites = 0
    var integrity = PoolIntegrity.none
    /// Few, so that pages of checksums come and go.
    var sumFrames = 12
    var blocksPerSumPage = 16
    /// Records between two attempts to settle pages.
    var rotationRecords: UInt64 = 6
  }

  let seed: UInt64
  let superblock: Superblock
  let options: Options
  var disk: SimulatedDisk
  var engine: PoolEngine
  var model = PoolModel()
  var generator: SeededGenerator
  var opened: [Identifier: Int] = [:]
  var nextValue: UInt32 = 1
  var clients: [SimulatedClient] = []
  var changes: [PendingChange] = []
  var refusals = 0
  /// Crashes looked at.
  var crashes = 0
  var hasFailed = false
  /// Looks at crashes from now on, even if the options say otherwise.
  var isLookingAtCrashes = false
  /// When the last look was.
  var roundStart = 0

  /// A change of what there is, asked for and perhaps answered.
  final class PendingChange {
    let submitted: Int
    var outcome: PoolError??
    /// Brings the model up to date when the change is answered, at a moment, with an error or nil.
    var apply: (Int, PoolError?) -> Void = { _, _ in }
    init(submitted: Int) { self.submitted = submitted }

    /// Lets go of what `apply` holds, which is this and the simulation.
    func forget() { apply = { _, _ in } }
  }

  init(seed: UInt64, options: Options = Options()) {
    self.seed = seed
    self.options = options
    generator = SeededGenerator(seed: seed &+ options.salt &* 1_000_003)
    var size = options.clusterBytes * options.clusterCount + 2 << 20
    var layout: Superblock?
    // The space for metadata depends on the size.
    while layout == nil || layout!.clusterCount < options.clusterCount {
      size += options.clusterBytes
      layout = Superblock.layout(
        id: .random(using: &generator), name: "sim", clusterBytes: options.clusterBytes, deviceBytes: size, sectorBytes: 512,
        journalBytes: options.journalBytes, integrity: options.integrity, blocksPerSumPage: options.blocksPerSumPage)
    }
    superblock = layout!
    var image = [UInt8](repeating: 0, count: Int(superblock.deviceBytes))
    // Debris where nothing was written yet: an unclean pool must never show it.
    if !options.canZero {
      image = [UInt8](repeating: 0, count: Int(superblock.dataOffset))
      image += [UInt8](repeating: 0xDB, count: Int(superblock.deviceBytes - superblock.dataOffset))
    }
    for (offset, bytes) in Pool.firstCheckpoint(superblock, isClean: options.canZero) {
      image.replaceSubrange(Int(offset)..<Int(offset) + bytes.count, with: bytes)
    }
    disk = SimulatedDisk(image: image, seed: generator.next())
    disk.canZero = options.canZero
    engine = Self.makeEngine(superblock, disk, options, &generator)!
    engine.resume()
    engine.setOptions(PoolOptions(overcommitPercent: 0, regionBytes: 64 << 10, maximumHotRegions: 4)) { _ in }
    disk.runUntilIdle()
    disk.fold()
    roundStart = disk.events
  }

  /// Clients whose requests died with a process still own their buffers.
  var abandoned: [SimulatedClient] = []
  var graveyard: [PoolEngine] = []

  /// Disk and engine hold each other.
  deinit { disk.detach() }

  /// Opens what is on the disk; nil and an issue if it cannot be.
  static func makeEngine(
    _ superblock: Superblock, _ disk: SimulatedDisk, _ options: Options, _ generator: inout SeededGenerator
  ) -> PoolEngine? {
    do throws(PoolError) {
      let recovery = try Recovery(ImageSource(image: disk.image), superblock: superblock, using: &generator)
      let (journal, number) = (recovery.journal, recovery.checkpointNumber)
      let engine = PoolEngine(
        superblock: superblock, state: recovery.takeState(), journal: journal, checkpointNumber: number, disk: disk,
        report: PoolReport(location: "image"), sumFrames: options.sumFrames)
      engine.sums?.rotationRecords = options.rotationRecords
      engine.bootID = .random(using: &generator)
      return engine
    } catch {
      Issue.record("the pool cannot be opened: \(error)")
      return nil
    }
  }

  /// Says what is wrong, and how to see it again.
  func fail(_ what: String) {
    if hasFailed { return }
    hasFailed = true
    Issue.record("seed \(seed): \(what). Again: KEELSON_SEED=\(seed) swift test --filter PoolTests.\(options.suite)")
  }

  // MARK: Rounds

  /// Requests and changes at the same time, at random; runs until all have ended and looks at what is there.
  func runRound(requests: ClosedRange<Int> = 1...6, changes: ClosedRange<Int> = 0...2) {
    if hasFailed { return }
    begin(requests: Int.random(in: requests, using: &generator), changes: Int.random(in: changes, using: &generator))
    finish()
  }

  /// Runs what was begun to its end and looks at what is there.
  func finish() {
    if hasFailed { return }
    if !disk.runUntilIdle() { return fail("it never comes to rest") }
    end()
  }

  /// As `runRound`, of one kind of change.
  func run(_ change: ChangeKind) {
    var taken: [Identifier: [Range<Int>]] = [:]
    submit(change, &taken)
    finish()
  }

  /// Requests and changes, left after a few steps.
  func begin(requests: Int, changes: Int) {
    var taken: [Identifier: [Range<Int>]] = [:]
    let plan = ([Bool](repeating: true, count: requests) + [Bool](repeating: false, count: changes)).shuffled(using: &generator)
    for isRequest in plan {
      if isRequest { submitOne(&taken) } else { submit(ChangeKind.allCases.randomElement(using: &generator)!, &taken) }
      for _ in 0..<Int.random(in: 0...4, using: &generator) where disk.step() {}
    }
  }

  func end() {
    conclude(isOver: true)
    checkCrashes(since: roundStart)
    model.prune(at: disk.events)
    disk.fold()
    roundStart = disk.events
  }

  func submitOne(_ taken: inout [Identifier: [Range<Int>]]) {
    let replicas = model.objects.keys.sorted().filter { isUsable($0) && model.objects[$0]!.isReplica }
    guard let id = replicas.randomElement(using: &generator) else { return }
    let sectors = model.objects[id]!.size
    let start = Int.random(in: 0..<sectors, using: &generator)
    let limit = [1, 8, 32, 256].randomElement(using: &generator)!
    var range = start..<min(sectors, start + Int.random(in: 1...limit, using: &generator))
    if Bool.random(using: &generator) { range = range.lowerBound & ~7..<min(sectors, (range.upperBound + 7) & ~7) }
    if taken[id, default: []].contains(where: { $0.overlaps(range) }) { return }
    switch Int.random(in: 0..<20, using: &generator) {
    case 0..<10: submit(.write, id, range)
    case 10..<13: submit(.deallocate, id, range)
    case 13..<15: submit(.writeZeroes, id, range)
    case 15..<18: submit(.read, id, range)
    default: return submit(.flush, id, 0..<0)
    }
    taken[id, default: []].append(range)
  }

  /// Whether it is there for certain, and will stay.
  func isUsable(_ id: Identifier) -> Bool {
    model.objects[id]!.created.acknowledged < .max && model.objects[id]!.deleted.submitted == .max
  }

  func device(_ id: Identifier) -> Int {
    if let device = opened[id] { return device }
    let device = engine.open(id)
    opened[id] = device
    return device
  }

  /// One request.
  func submit(_ operation: BlockOperation, _ id: Identifier, _ range: Range<Int>, isDurable: Bool? = nil) {
    let client = SimulatedClient(operation, id, range, disk: disk)
    clients.append(client)
    let canBeDurable = operation == .write || operation == .writeZeroes
    client.isDurable = canBeDurable && (isDurable ?? (Int.random(in: 0..<5, using: &generator) == 0))
    client.submitted = disk.events
    switch operation {
    case .write:
      let value = nextValue
      nextValue += 1
      client.values = [UInt32](repeating: value, count: range.count)
      client.fill()
    case .writeZeroes: client.values = [UInt32](repeating: 0, count: range.count)
    case .deallocate:
      let (first, last) = ((range.lowerBound + 7) & ~7, range.upperBound & ~7)
      client.range = first < last ? first..<last : range.lowerBound..<range.lowerBound
      client.values = [UInt32](repeating: 0, count: client.range.count)
    case .read: client.values = range.map { model.objects[id]!.sectors[$0].last!.value }
    case .flush: break
    }
    if operation != .read {
      for (index, sector) in client.range.enumerated() where !client.values.isEmpty {
        model.objects[id]!.add(.init(value: client.values[index], submitted: client.submitted), to: sector)
      }
    }
    unsafe engine.submit(
      BlockRequest(
        operation, offsetBytes: UInt64(range.lowerBound) * 512, byteCount: UInt64(range.count) * 512, buffer: client.buffer,
        forceUnitAccess: client.isDurable, token: 0), device: device(id), for: client, isAccepted: true)
  }

  /// Takes the answers into the model; with `isOver` everything must have been answered.
  func conclude(isOver: Bool) {
    for client in clients {
      guard let status = client.status else {
        if isOver { fail("\(client.operation) never ended") }
        continue
      }
      switch client.operation {
      case .read:
        if status != .success { fail("a read ended with \(status)") }
        for index in client.range.indices.map({ $0 - client.range.lowerBound }) where client.found(index) != client.values[index] {
          fail("read \(client.found(index)) instead of \(client.values[index]) in sector \(client.range.lowerBound + index)")
        }
      case .flush: if status != .success { fail("a flush ended with \(status)") }
      default:
        guard status == .success else {
          if status != .capacityExceeded { fail("\(client.operation) ended with \(status)") }
          refusals += 1
          continue
        }
        for sector in client.range where !client.values.isEmpty {
          let last = model.objects[client.id]!.sectors[sector].count - 1
          model.objects[client.id]!.sectors[sector][last].acknowledged = client.answered
          if client.isDurable { model.objects[client.id]!.sectors[sector][last].durable = client.answered }
        }
      }
    }
    for client in clients where client.operation == .flush && client.status != nil {
      model.flushed(submitted: client.submitted, acknowledged: client.answered)
    }
    // Parts may have been done: old and new are possible, and what it is now is read back.
    if isOver { for client in clients where client.status == .capacityExceeded { reread(client) } }
    clients.removeAll { $0.status != nil }
    for change in changes {
      if change.outcome == nil && isOver { fail("a change never ended") }
    }
    changes.removeAll { $0.outcome != nil }
  }

  func reread(_ client: SimulatedClient) {
    let observed = content(of: client.id, disk.image, engine.state)
    for sector in client.range {
      let versions = model.objects[client.id]!.sectors[sector]
      if !versions.contains(where: { $0.value == observed[sector] }) { fail("foreign bytes after a refusal") }
      model.objects[client.id]!.add(
        .init(value: observed[sector], submitted: client.submitted, acknowledged: disk.events), to: sector)
    }
  }

  // MARK: Changes

  enum ChangeKind: CaseIterable {
    case create, createThick, snapshot, snapshotAgain, clone, deleteSnapshot, deleteSnapshotAgain, deleteReplica, grow, claim, regions,
      forget
  }

  func submit(_ kind: ChangeKind, _ taken: inout [Identifier: [Range<Int>]]) {
    let usable = model.objects.keys.sorted().filter { isUsable($0) }
    let replicas = usable.filter { model.objects[$0]!.isReplica }
    let snapshots = usable.filter { !model.objects[$0]!.isReplica }
    let replica = replicas.randomElement(using: &generator)
    let snapshot = snapshots.randomElement(using: &generator)
    switch kind {
    case .create, .createThick:
      if replicas.count >= options.maximumReplicas { return }
      create(sectors: Int.random(in: 1...options.maximumSectors, using: &generator), isThick: kind == .createThick)
    case .snapshot, .snapshotAgain: if let replica { takeSnapshot(of: replica) }
    case .clone: if let snapshot, replicas.count < options.maximumReplicas + 1 { clone(snapshot) }
    case .deleteSnapshot, .deleteSnapshotAgain: if let snapshot { delete(snapshot) }
    case .deleteReplica:
      guard let replica, replicas.count > 1, taken[replica] == nil else { return }
      delete(replica)
    case .grow: if let replica { grow(replica, to: model.objects[replica]!.size + Int.random(in: 0...100, using: &generator)) }
    case .claim: if let replica { claim(replica) }
    case .regions: if let replica { changeRegions(replica) }
    case .forget:
      guard let replica, let peer = model.objects[replica]!.told.last!.value.peers.randomElement(using: &generator) else { return }
      tell(replica, { $0.forget(peer) }) { engine, done in engine.forgetPeer(peer, of: replica, done: done) }
    }
  }

  /// A change under way, with its answer noted.
  func begin() -> (PendingChange, PoolEngine.Done) {
    let change = PendingChange(submitted: disk.events)
    changes.append(change)
    return (
      change,
      { [disk] error in
        precondition(change.outcome == nil, "two answers to one change")
        change.outcome = .some(error)
        change.apply(disk.events, error)
        change.forget()
      }
    )
  }

  /// Errors that say that two changes met, or that there is no room.
  func isRefusal(_ error: PoolError) -> Bool {
    switch error {
    case .replicaInUse, .noSpace, .metadataFull, .activityLogFull: true
    default: false
    }
  }

  /// A change that makes an object.
  func make(_ id: Identifier, _ object: PoolModel.Object, then: @escaping (Int) -> Void = { _ in }) -> PoolEngine.Done {
    let (change, done) = begin()
    model.objects[id] = object
    change.apply = { [self] moment, error in
      if let error {
        if !isRefusal(error) { fail("a creation was refused: \(error)") }
        model.objects[id]!.deleted = .init(value: (), submitted: change.submitted, acknowledged: moment)
      } else {
        model.objects[id]!.created.acknowledged = moment
        then(moment)
      }
    }
    return done
  }

  @discardableResult
  func create(sectors: Int, isThick: Bool = false) -> Identifier {
    let id = Identifier.random(using: &generator)
    var object = PoolModel.Object(sectors: sectors, isReplica: true, at: disk.events)
    object.isThick = isThick
    let done = make(id, object)
    engine.createReplica(
      id: id, volumeID: .random(using: &generator), sizeBytes: UInt64(sectors) * 512, blockSizeBytes: 512, isThick: isThick, done: done)
    return id
  }

  @discardableResult
  func takeSnapshot(of replica: Identifier) -> Identifier {
    let id = Identifier.random(using: &generator)
    let origin = model.objects[replica]!
    var object = PoolModel.Object(sectors: 0, isReplica: false, at: disk.events)
    object.sectors = Array(origin.sectors.prefix(origin.size))
    object.open = origin.open.filter { $0 < origin.size }
    object.sizes[0].value = origin.size
    // Writes in flight may be in it or not; once it is answered, what is in it stays.
    let done = make(id, object) { [self] moment in
      let found = content(of: id, disk.image, engine.state)
      var frozen = model.objects[id]!
      for (sector, value) in found.enumerated() {
        if frozen.sectors[sector].count == 1, frozen.sectors[sector][0].value == value { continue }
        if !frozen.sectors[sector].contains(where: { $0.value == value }) {
          return fail("sector \(sector) of a new snapshot is \(value), not one of \(frozen.sectors[sector])")
        }
        frozen.add(.init(value: value, submitted: frozen.created.submitted, acknowledged: moment, durable: moment), to: sector)
      }
      model.objects[id] = frozen
    }
    engine.createSnapshot(id: id, of: replica, done: done)
    return id
  }

  @discardableResult
  func clone(_ snapshot: Identifier) -> Identifier {
    let id = Identifier.random(using: &generator)
    let origin = model.objects[snapshot]!
    var object = PoolModel.Object(sectors: 0, isReplica: true, at: disk.events)
    object.sectors = origin.current.map { [.settled($0)] }
    object.sizes[0].value = origin.size
    let done = make(id, object)
    engine.cloneSnapshot(id: snapshot, to: id, volumeID: .random(using: &generator), done: done)
    return id
  }

  func delete(_ id: Identifier) {
    let (change, done) = begin()
    model.objects[id]!.deleted = .init(value: (), submitted: change.submitted)
    let isReplica = model.objects[id]!.isReplica
    if let device = opened.removeValue(forKey: id) { engine.close(device) }
    change.apply = { [self] moment, error in
      if let error {
        if !isRefusal(error) { fail("a deletion was refused: \(error)") }
        model.objects[id]!.deleted = .init(value: (), submitted: .max)
      } else {
        model.objects[id]!.deleted.acknowledged = moment
      }
    }
    if isReplica { engine.deleteReplica(id: id, done: done) } else { engine.deleteSnapshot(id: id, done: done) }
  }

  func grow(_ id: Identifier, to sectors: Int) {
    let (change, done) = begin()
    let old = model.objects[id]!.sectors.count
    if sectors > old { model.objects[id]!.sectors += [[PoolModel.Version]](repeating: [.settled(0)], count: sectors - old) }
    let place = model.objects[id]!.sizes.count
    model.objects[id]!.sizes.append(.init(value: sectors, submitted: change.submitted))
    change.apply = { [self] moment, error in
      if let error {
        // Another growth may have been faster.
        if case .invalidReplicaSize = error {} else if !isRefusal(error) { fail("growth was refused: \(error)") }
        model.objects[id]!.sizes.remove(at: place)
      } else {
        model.objects[id]!.sizes[place].acknowledged = moment
      }
    }
    engine.growReplica(id: id, sizeBytes: UInt64(sectors) * 512, done: done)
  }

  // MARK: What a nexus tells

  func tell(
    _ id: Identifier, _ edit: (inout PoolModel.Told) -> Void, _ body: (PoolEngine, @escaping PoolEngine.Done) -> Void
  ) {
    // One at a time, so that it is clear what was before.
    guard model.objects[id]!.told.allSatisfy({ $0.acknowledged < .max }) else { return }
    let (change, done) = begin()
    var told = model.objects[id]!.told.last!.value
    edit(&told)
    model.objects[id]!.told.append(.init(value: told, submitted: change.submitted))
    change.apply = { [self] moment, error in
      let last = model.objects[id]!.told.count - 1
      if let error {
        if !isRefusal(error) { fail("a claim or region was refused: \(error)") }
        model.objects[id]!.told.removeLast()
      } else {
        model.objects[id]!.told[last].acknowledged = moment
      }
    }
    body(engine, done)
  }

  func claim(_ id: Identifier) {
    let claim = ReplicaClaim(
      generation: generator.next() >> 8, setVersion: generator.next() >> 8, nexusID: .random(using: &generator),
      inSync: (0..<Int.random(in: 0...3, using: &generator)).map { _ in .random(using: &generator) }, storeRevision: generator.next() >> 8)
    tell(id, { $0.claim = claim }) { engine, done in engine.storeClaim(claim, of: id, done: done) }
  }

  func changeRegions(_ id: Identifier) {
    let count = (model.objects[id]!.size * 512 + 65_535) / 65_536
    let first = Int.random(in: 0..<count, using: &generator)
    let regions = first..<Int.random(in: first + 1...count, using: &generator)
    let peers = (1...2).map { Identifier(bytes: [UInt8](repeating: UInt8($0), count: 16))! }
    let set = ([.activity] + peers.map { RegionSetName.missed(peer: $0) }).randomElement(using: &generator)!
    let isMember = Int.random(in: 0..<3, using: &generator) > 0
    tell(id, { $0.change(set, regions, isMember) }) { engine, done in
      engine.setRegions(set, of: id, [regions], isMember: isMember, done: done)
    }
  }

  // MARK: Looking

  /// The content of an object as an image holds it.
  func content(of id: Identifier, _ image: [UInt8], _ state: borrowing PoolState) -> [UInt32] {
    let layer = state.replicas[id]?.header.layer ?? state.snapshots[id]!.layer
    let size = state.replicas[id]?.header.sizeBytes ?? state.snapshots[id]!.sizeBytes
    let index = state.layerIndexes[layer]!
    var values: [UInt32] = []
    values.reserveCapacity(Int(size / 512))
    var offset: UInt64 = 0
    while offset < size {
      let place = state.locate(layerIndex: index, offset: offset, end: size)
      let count = Int(place.byteCount / 512)
      if let storage = place.storageOffset {
        unsafe image.withUnsafeBytes { bytes in
          for sector in 0..<count { unsafe values.append(sectorValue(bytes.baseAddress! + Int(storage) + sector * 512)) }
        }
      } else {
        values += [UInt32](repeating: 0, count: count)
      }
      offset += place.byteCount
    }
    return values
  }

  /// Whether everything is as the model says, with nothing in flight.
  func checkContents() {
    if hasFailed { return }
    for id in model.objects.keys.sorted() {
      let found = content(of: id, disk.image, engine.state)
      let expected = Array(model.objects[id]!.current.prefix(model.objects[id]!.size))
      if found != expected {
        let sector = zip(found, expected).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? -1
        return fail("\(id) differs in sector \(sector): \(found) not \(expected)")
      }
    }
    if let flaw = structureFlaw(of: engine.state) { fail(flaw) }
  }

  /// Replaying what was recorded must rebuild what is in memory.
  func checkRecovery() {
    if hasFailed { return }
    var fresh = SeededGenerator(seed: 1)
    guard let recovery = try? Recovery(ImageSource(image: disk.image), superblock: superblock, using: &fresh) else {
      return fail("it cannot be opened again")
    }
    if Self.dump(recovery.state) != Self.dump(engine.state) { fail("the replayed state differs") }
  }

  /// Everything is deleted: no cluster may be lost.
  func checkNothingLeaks() {
    if hasFailed { return }
    // Snapshots and replicas in any order; those that are busy are tried again.
    for _ in 0..<4 {
      for id in model.objects.keys.sorted().shuffled(using: &generator) where isUsable(id) { delete(id) }
      disk.runUntilIdle()
      conclude(isOver: true)
      model.prune(at: disk.events)
    }
    if !model.objects.isEmpty { return fail("not everything can be deleted") }
    if engine.state.usedCount != 0 || engine.state.freeCount != superblock.geometry.clusterCount {
      fail(
        "\(engine.state.usedCount) clusters are used and \(engine.state.freeCount) free of \(superblock.clusterCount) when all is deleted")
    }
    if !engine.state.layerIndexes.isEmpty || !engine.state.holes.isEmpty { fail("layers or holes are left when all is deleted") }
  }

  /// All that counts, in a fixed order.
  static func dump(_ state: borrowing PoolState) -> [MetadataEntry] {
    var entries: [MetadataEntry] = [.options(state.options)]
    for id in state.layerIndexes.keys.sorted() {
      let layer = state.layers[state.layerIndexes[id]!]!
      entries.append(
        .putLayer(id: id, parent: layer.parent == Layer.none ? 0 : state.layers[layer.parent]!.id, clusterCount: layer.clusterCount))
    }
    for id in state.replicas.keys.sorted() {
      let replica = state.replicas[id]!
      entries += [.putReplica(replica.header), .claim(replica: id, replica.claim)]
      entries.append(.regionWords(replica: id, set: .activity, firstWord: 0, words: replica.activity.words))
      for missed in replica.missed {
        entries.append(.regionWords(replica: id, set: .missed(peer: missed.peer), firstWord: 0, words: missed.regions.words))
      }
    }
    for id in state.snapshots.keys.sorted() { entries.append(.putSnapshot(state.snapshots[id]!)) }
    for key in state.holes.keys.sorted() { entries.append(.holes(layer: key.layer, logical: key.logical, mask: state.holes[key]!)) }
    for cluster in 0..<state.geometry.clusterCount where state.clusters.owner(cluster) != 0 && state.clusters.hasData(cluster) {
      entries.append(
        .cluster(
          cluster: UInt32(cluster), layer: state.clusters.owner(cluster), logical: state.clusters.logical(cluster),
          isStale: false, mask: state.clusters.mask(cluster)))
    }
    return entries
  }

  func structureFlaw(of state: borrowing PoolState) -> String? {
    var used = 0
    for cluster in 0..<state.geometry.clusterCount {
      let owner = state.clusters.owner(cluster)
      let sets = (state.clean.contains(cluster) ? 1 : 0) + (state.ready.contains(cluster) ? 1 : 0) + (state.dirty.contains(cluster) ? 1 : 0)
      if owner != 0 && sets > 0 { return "a cluster is used and free" }
      if sets > 1 { return "a cluster is free twice" }
      guard owner != 0 else { continue }
      used += 1
      if state.clusters.find(owner, state.clusters.logical(cluster)) != cluster { return "a cluster is not found" }
    }
    if used != state.usedCount || state.cleaningCount != 0 { return "clusters are counted wrongly" }
    for layer in state.layers {
      guard let layer else { continue }
      if layer.nameCount != 1 && layer.childCount <= 1 && !state.dying.contains(layer.id) { return "a layer that nobody needs" }
    }
    return nil
  }
}

/// The value of a sector whose every word is the same; a value that nobody writes for any other.
@unsafe func sectorValue(_ sector: UnsafeRawPointer) -> UInt32 {
  let value = unsafe sector.loadUnaligned(as: UInt32.self)
  let isWhole = unsafe memcmp(sector, sector + 4, 508) == 0
  return isWhole ? value : .max
}

/// One request of a simulation, its buffer and its end.
@safe final class SimulatedClient: BlockClient {
  let operation: BlockOperation
  let id: Identifier
  var range: Range<Int>
  var values: [UInt32] = []
  var isDurable = false
  var submitted = 0
  var answered = Int.max
  var status: BlockStatus?
  let disk: SimulatedDisk?
  let buffer: UnsafeMutableRawPointer

  init(_ operation: BlockOperation, _ id: Identifier, _ range: Range<Int>, disk: SimulatedDisk? = nil) {
    self.operation = operation
    self.id = id
    self.range = range
    self.disk = disk
    unsafe buffer = .allocate(byteCount: max(512, range.count * 512), alignment: 4096)
  }

  deinit { unsafe buffer.deallocate() }

  func fill() {
    for (index, value) in values.enumerated() {
      unsafe (buffer + index * 512).initializeMemory(as: UInt32.self, repeating: value, count: 128)
    }
  }

  func found(_ index: Int) -> UInt32 { unsafe sectorValue(buffer + index * 512) }

  override func blockRequestCompleted(token: UInt64, status: BlockStatus) {
    #expect(self.status == nil, "two answers to one request")
    self.status = status
    answered = disk?.events ?? 0
  }
}
