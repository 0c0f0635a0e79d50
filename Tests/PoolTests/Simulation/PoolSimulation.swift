import Glibc
import Reactor
import Testing

@testable import Pool

/// A pool on a simulated disk beside a simple model of what it must hold, driven by one seed.
///
/// Contents are one number per sector of 512 bytes. The model keeps, for each sector, the values that it may have after a power
/// loss: the last one that is durable for certain and all written since.
@safe final class PoolSimulation {
  /// What a replica or snapshot must hold.
  struct Content {
    /// Per sector: the durable value, then what was written since.
    var values: [[UInt32]]
    /// Per sector: how many values before these are out of the question.
    var dropped: [Int]
    var isReplica: Bool

    init(sectors: Int, isReplica: Bool) {
      values = [[UInt32]](repeating: [0], count: sectors)
      dropped = [Int](repeating: 0, count: sectors)
      self.isReplica = isReplica
    }

    /// Leaves the values from the one on that was the last when there were `count`.
    mutating func settle(_ sector: Int, _ count: Int) {
      let excess = count - 1 - dropped[sector]
      if excess <= 0 { return }
      values[sector].removeFirst(excess)
      dropped[sector] += excess
    }

    mutating func grow(to sectors: Int) {
      let added = sectors - values.count
      values += [[UInt32]](repeating: [0], count: added)
      dropped += [Int](repeating: 0, count: added)
    }

    var current: [UInt32] { values.map { $0[$0.count - 1] } }
  }

  struct Options {
    var clusterBytes: UInt64 = 64 << 10
    var clusterCount: UInt64 = 28
    var journalBytes: UInt64 = 128 << 10
    var canZero = true
    var integrity = PoolIntegrity.none
    /// Few, so that pages of checksums come and go.
    var sumFrames = 12
    var blocksPerSumPage = 16
    /// Records between two attempts to settle pages.
    var rotationRecords: UInt64 = 6
  }

  let seed: UInt64
  let superblock: Superblock
  private(set) var disk: SimulatedDisk
  private(set) var engine: PoolEngine
  var contents: [Identifier: Content] = [:]
  /// Objects of which the creation or deletion was not acknowledged.
  var uncertain: Set<Identifier> = []
  private var opened: [Identifier: Int] = [:]
  var generator: SeededGenerator
  private var nextValue: UInt32 = 1
  /// How many values each sector had when the batch began: those were acknowledged.
  private var acknowledged: [Identifier: [Int]] = [:]
  private var clients: [SimulatedClient] = []
  private let options: Options
  private(set) var refusals = 0

  init(seed: UInt64, options: Options = Options()) {
    self.seed = seed
    self.options = options
    generator = SeededGenerator(seed: seed)
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
    if !options.canZero { for index in stride(from: Int(superblock.dataOffset), to: image.count, by: 64) { image[index] = 0xDB } }
    for (offset, bytes) in Pool.firstCheckpoint(superblock, isClean: options.canZero) {
      image.replaceSubrange(Int(offset)..<Int(offset) + bytes.count, with: bytes)
    }
    disk = SimulatedDisk(image: image, seed: generator.next())
    disk.canZero = options.canZero
    engine = Self.makeEngine(superblock, disk, options, &generator)!
    engine.resume()
    disk.runUntilIdle()
  }

  /// Disk and engine hold each other.
  deinit { disk.detach() }

  /// Opens what is on the disk; nil and an issue if it cannot be.
  private static func makeEngine(
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

  // MARK: Operations

  /// A batch of requests that do not overlap, at random; runs until all have ended and checks what was read.
  func runBatch() {
    let count = Int.random(in: 1...6, using: &generator)
    acknowledged = marks()
    var taken: [Identifier: [Range<Int>]] = [:]
    let start = disk.events
    for _ in 0..<count { submitOne(&taken) }
    disk.runUntilIdle()
    checkPowerLosses(since: start)
    finishBatch()
  }

  private func submitOne(_ taken: inout [Identifier: [Range<Int>]]) {
    let replicas = contents.filter { $0.value.isReplica }.keys.sorted()
    guard let id = replicas.randomElement(using: &generator), let content = contents[id] else { return }
    let sectors = content.values.count
    let start = Int.random(in: 0..<sectors, using: &generator)
    let limit = [1, 8, 32, 256].randomElement(using: &generator)!
    var range = start..<min(sectors, start + Int.random(in: 1...limit, using: &generator))
    if Bool.random(using: &generator) { range = range.lowerBound & ~7..<min(sectors, (range.upperBound + 7) & ~7) }
    if taken[id, default: []].contains(where: { $0.overlaps(range) }) { return }
    taken[id, default: []].append(range)
    let device = device(id)
    switch Int.random(in: 0..<20, using: &generator) {
    case 0..<10: submit(.write, id, device, range)
    case 10..<13: submit(.deallocate, id, device, range)
    case 13..<15: submit(.writeZeroes, id, device, range)
    case 15..<18: submit(.read, id, device, range)
    default:
      taken[id] = [0..<sectors]
      submit(.flush, id, device, 0..<0)
    }
  }

  private func device(_ id: Identifier) -> Int {
    if let device = opened[id] { return device }
    let device = engine.open(id)
    opened[id] = device
    return device
  }

  private func submit(_ operation: BlockOperation, _ id: Identifier, _ device: Int, _ range: Range<Int>) {
    let client = SimulatedClient(operation, id, range)
    clients.append(client)
    let isDurable = (operation == .write || operation == .writeZeroes) && Int.random(in: 0..<5, using: &generator) == 0
    client.isDurable = isDurable
    switch operation {
    case .write:
      let value = nextValue
      nextValue += 1
      client.values = (0..<range.count).map { _ in value }
      client.fill()
    case .writeZeroes: client.values = [UInt32](repeating: 0, count: range.count)
    case .deallocate:
      let (first, last) = ((range.lowerBound + 7) & ~7, range.upperBound & ~7)
      client.range = first < last ? first..<last : range.lowerBound..<range.lowerBound
      client.values = [UInt32](repeating: 0, count: client.range.count)
    case .read, .flush: break
    }
    for (index, sector) in client.range.enumerated() where !client.values.isEmpty {
      contents[id]!.values[sector].append(client.values[index])
    }
    if operation == .flush { client.marks = acknowledged }
    unsafe engine.submit(
      BlockRequest(
        operation, offsetBytes: UInt64(range.lowerBound) * 512, byteCount: UInt64(range.count) * 512, buffer: client.buffer,
        forceUnitAccess: isDurable, token: 0), device: device, for: client, isAccepted: true)
  }

  /// How many values each sector has had so far.
  private func marks() -> [Identifier: [Int]] {
    contents.mapValues { content in content.values.indices.map { content.dropped[$0] + content.values[$0].count } }
  }

  private func finishBatch() {
    for client in clients {
      guard let status = client.status else {
        Issue.record("seed \(seed): \(client.operation) never ended")
        continue
      }
      switch client.operation {
      case .read:
        #expect(status == .success)
        for (index, sector) in client.range.enumerated() {
          let found = client.found(index)
          let expected = contents[client.id]!.values[sector].last!
          if found != expected { Issue.record("seed \(seed): read \(found) instead of \(expected) in sector \(sector)") }
        }
      case .flush:
        #expect(status == .success)
        if status == .success { settle(client.marks) }
      default:
        if status == .success {
          if client.isDurable { for sector in client.range { keepLast(client.id, sector) } }
        } else {
          // Parts may have been done: old and new are possible, and what it is now is read back.
          #expect(status == .capacityExceeded)
          refusals += 1
          reread(client.id, client.range)
        }
      }
    }
    clients = []
  }

  private func keepLast(_ id: Identifier, _ sector: Int) {
    contents[id]!.settle(sector, contents[id]!.dropped[sector] + contents[id]!.values[sector].count)
  }

  /// What there was at `marks` is durable.
  private func settle(_ marks: [Identifier: [Int]]) {
    for (id, counts) in marks where contents[id] != nil {
      for (sector, count) in counts.enumerated() { contents[id]!.settle(sector, count) }
    }
  }

  private func reread(_ id: Identifier, _ range: Range<Int>) {
    let observed = content(of: id, disk.image, engine.state)
    for sector in range {
      #expect(contents[id]!.values[sector].contains(observed[sector]), "seed \(seed): foreign bytes after a refusal")
      contents[id]!.values[sector].append(observed[sector])
    }
  }

  /// One change of what there is, at random.
  func runChange() {
    let replicas = contents.filter { $0.value.isReplica }.keys.sorted()
    let snapshots = contents.filter { !$0.value.isReplica }.keys.sorted()
    let id = Identifier.random(using: &generator)
    let before = marks()
    let start = disk.events
    var ended: PoolError??
    let done: PoolEngine.Done = { ended = .some($0) }
    var apply: () -> Void = {}
    switch Int.random(in: 0..<10, using: &generator) {
    case 0..<2 where replicas.count < 4:
      let sectors = Int.random(in: 1...800, using: &generator)
      uncertain.insert(id)
      contents[id] = Content(sectors: sectors, isReplica: true)
      engine.createReplica(
        id: id, volumeID: .random(using: &generator), sizeBytes: UInt64(sectors) * 512, blockSizeBytes: 512, isThick: false, done: done)
    case 2..<5:
      guard let replica = replicas.randomElement(using: &generator) else { return }
      uncertain.insert(id)
      contents[id] = contents[replica]
      contents[id]!.isReplica = false
      engine.createSnapshot(id: id, of: replica, done: done)
    case 5:
      guard let snapshot = snapshots.randomElement(using: &generator), replicas.count < 5 else { return }
      uncertain.insert(id)
      contents[id] = contents[snapshot]
      contents[id]!.isReplica = true
      engine.cloneSnapshot(id: snapshot, to: id, volumeID: .random(using: &generator), done: done)
    case 6..<8:
      guard let snapshot = snapshots.randomElement(using: &generator) else { return }
      uncertain.insert(snapshot)
      engine.deleteSnapshot(id: snapshot, done: done)
      apply = { [self] in contents[snapshot] = nil }
    case 8:
      guard let replica = replicas.randomElement(using: &generator), replicas.count > 1 else { return }
      if let device = opened.removeValue(forKey: replica) { engine.close(device) }
      uncertain.insert(replica)
      engine.deleteReplica(id: replica, done: done)
      apply = { [self] in contents[replica] = nil }
    default:
      guard let replica = replicas.randomElement(using: &generator) else { return }
      let sectors = contents[replica]!.values.count + Int.random(in: 0...100, using: &generator)
      engine.growReplica(id: replica, sizeBytes: UInt64(sectors) * 512, done: done)
      apply = { [self] in
        contents[replica]!.grow(to: sectors)
      }
    }
    disk.runUntilIdle()
    guard case .some(let error) = ended else {
      Issue.record("seed \(seed): a change never ended")
      return
    }
    #expect(error == nil)
    checkPowerLosses(since: start)
    settle(before)
    apply()
    uncertain = []
  }

  // MARK: Looking

  /// The content of an object as an image holds it.
  func content(of id: Identifier, _ image: [UInt8], _ state: borrowing PoolState) -> [UInt32] {
    let layer = state.replicas[id]?.header.layer ?? state.snapshots[id]!.layer
    let size = state.replicas[id]?.header.sizeBytes ?? state.snapshots[id]!.sizeBytes
    let index = state.layerIndexes[layer]!
    var values: [UInt32] = []
    var offset: UInt64 = 0
    while offset < size {
      let place = state.locate(layerIndex: index, offset: offset, end: size)
      for sector in 0..<place.byteCount / 512 {
        guard let storage = place.storageOffset else {
          values.append(0)
          continue
        }
        let start = Int(storage + sector * 512)
        values.append(unsafe image.withUnsafeBytes { unsafe sectorValue($0.baseAddress! + start) })
      }
      offset += place.byteCount
    }
    return values
  }

  /// Whether everything is as the model says, with nothing in flight.
  func checkContents() {
    for id in contents.keys.sorted() {
      let found = content(of: id, disk.image, engine.state)
      let expected = contents[id]!.current
      if found != expected {
        let sector = zip(found, expected).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? -1
        Issue.record("seed \(seed): \(id) differs in sector \(sector): \(found[sector]) not \(expected[sector])")
        return
      }
    }
    checkStructure(of: engine.state)
  }

  /// Replaying what was recorded must rebuild what is in memory.
  func checkRecovery() {
    var fresh = SeededGenerator(seed: 1)
    guard let copy = Self.makeEngine(superblock, SimulatedDisk(image: disk.image, seed: 1), options, &fresh) else { return }
    #expect(dump(copy.state) == dump(engine.state), "seed \(seed): replayed state differs")
    copy.disk.detach()
  }

  /// All that counts, in a fixed order.
  private func dump(_ state: borrowing PoolState) -> [MetadataEntry] {
    var entries: [MetadataEntry] = [.options(state.options)]
    for id in state.layerIndexes.keys.sorted() {
      let layer = state.layers[state.layerIndexes[id]!]!
      entries.append(
        .putLayer(id: id, parent: layer.parent == Layer.none ? 0 : state.layers[layer.parent]!.id, clusterCount: layer.clusterCount))
    }
    for id in state.replicas.keys.sorted() { entries.append(.putReplica(state.replicas[id]!.header)) }
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

  private func checkStructure(of state: borrowing PoolState) {
    var used = 0
    for cluster in 0..<state.geometry.clusterCount {
      let owner = state.clusters.owner(cluster)
      let sets = (state.clean.contains(cluster) ? 1 : 0) + (state.ready.contains(cluster) ? 1 : 0) + (state.dirty.contains(cluster) ? 1 : 0)
      #expect(owner == 0 || sets == 0, "seed \(seed): a cluster is used and free")
      #expect(sets <= 1, "seed \(seed): a cluster is free twice")
      if owner != 0 {
        used += 1
        #expect(state.clusters.find(owner, state.clusters.logical(cluster)) == cluster)
      }
    }
    #expect(used == state.usedCount)
    #expect(state.cleaningCount >= 0)
    for layer in state.layers {
      guard let layer else { continue }
      #expect(layer.nameCount == 1 || layer.childCount > 1 || state.dying.contains(layer.id), "seed \(seed): a layer nobody needs")
    }
  }

  // MARK: Crashes

  /// How many samples of what a power loss may leave are looked at for each event.
  var samplesPerEvent = 0

  /// Looks at power losses at every moment since an event, each without going there.
  private func checkPowerLosses(since start: Int) {
    if samplesPerEvent == 0 { return }
    for moment in start...disk.events {
      for _ in 0..<samplesPerEvent {
        let image = disk.imageAfterPowerLoss(at: moment, using: &generator)
        guard let engine = Self.makeEngine(superblock, SimulatedDisk(image: image, seed: 1), options, &generator) else {
          Issue.record("seed \(seed), event \(moment)")
          return
        }
        check(engine.state, image, allowed: contents, uncertain: uncertain, "event \(moment)")
        if options.integrity != .none { readAll(engine, image, "event \(moment)") }
        engine.disk.detach()
      }
    }
  }

  private func check(
    _ state: borrowing PoolState, _ image: [UInt8], allowed: [Identifier: Content], uncertain: Set<Identifier>, _ place: String
  ) {
    for id in allowed.keys.sorted() {
      guard state.replicas[id] != nil || state.snapshots[id] != nil else {
        if !uncertain.contains(id) { Issue.record("seed \(seed), \(place): \(id) is gone") }
        continue
      }
      let found = content(of: id, image, state)
      let content = allowed[id]!
      for (sector, value) in found.enumerated() where sector < content.values.count && !content.values[sector].contains(value) {
        Issue.record(
          "seed \(seed), \(place): sector \(sector) of \(content.isReplica ? "replica" : "snapshot") \(id) is \(value), not one of \(content.values[sector])"
        )
        return
      }
    }
    for id in Array(state.replicas.keys) + Array(state.snapshots.keys) where allowed[id] == nil {
      Issue.record("seed \(seed), \(place): \(id) is back from the dead")
    }
  }

  /// Loses power now, in the middle of what was begun, or only the process if `keepsCache`; goes on with what is left.
  func crash(keepsCache: Bool) {
    let image = keepsCache ? disk.image : disk.imageAfterPowerLoss(at: disk.events, using: &generator)
    for client in clients where client.status == nil { client.isAbandoned = true }
    abandoned.append(contentsOf: clients)
    clients = []
    opened = [:]
    let before = engine
    disk.detach()
    graveyard.append(before)
    disk = SimulatedDisk(image: image, seed: generator.next())
    disk.canZero = options.canZero
    guard let next = Self.makeEngine(superblock, disk, options, &generator) else {
      Issue.record("seed \(seed): not opened after a crash")
      return
    }
    engine = next
    check(engine.state, image, allowed: contents, uncertain: uncertain, "crash")
    for id in contents.keys.sorted() {
      if engine.state.replicas[id] == nil && engine.state.snapshots[id] == nil {
        contents[id] = nil
        continue
      }
      let isReplica = contents[id]!.isReplica
      let found = content(of: id, image, engine.state)
      contents[id] = Content(sectors: found.count, isReplica: isReplica)
      contents[id]!.values = found.map { [$0] }
    }
    uncertain = []
    engine.resume()
    disk.runUntilIdle()
    if options.integrity != .none { readAll(engine, image, "crash") }
  }

  /// Reads all replicas by requests: whatever a crash left, none may fail, and all must give what is in the image.
  private func readAll(_ engine: PoolEngine, _ image: [UInt8], _ place: String) {
    guard let disk = engine.disk as? SimulatedDisk else { return }
    for id in engine.state.replicas.keys.sorted() {
      let expected = content(of: id, image, engine.state)
      let device = engine.open(id)
      let client = SimulatedClient(.read, id, 0..<expected.count)
      unsafe engine.submit(
        BlockRequest(.read, offsetBytes: 0, byteCount: UInt64(expected.count) * 512, buffer: client.buffer, token: 0), device: device,
        for: client, isAccepted: true)
      disk.runUntilIdle()
      engine.close(device)
      guard client.status == .success else {
        Issue.record("seed \(seed), \(place): reading ended with \(String(describing: client.status)): \(engine.report.errors.last ?? "")")
        continue
      }
      for sector in 0..<expected.count where client.found(sector) != expected[sector] {
        Issue.record("seed \(seed), \(place): sector \(sector) of \(id) read as \(client.found(sector)), not \(expected[sector])")
        break
      }
    }
  }

  /// Clients whose requests died with a process still own their buffers.
  private var abandoned: [SimulatedClient] = []
  private var graveyard: [PoolEngine] = []

  /// Begins a batch and leaves it after a few steps.
  func beginBatch() {
    acknowledged = marks()
    var taken: [Identifier: [Range<Int>]] = [:]
    for _ in 0..<Int.random(in: 1...6, using: &generator) { submitOne(&taken) }
    for _ in 0..<Int.random(in: 0...12, using: &generator) where disk.step() {}
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
  var marks: [Identifier: [Int]] = [:]
  var isDurable = false
  var isAbandoned = false
  private(set) var status: BlockStatus?
  let buffer: UnsafeMutableRawPointer

  init(_ operation: BlockOperation, _ id: Identifier, _ range: Range<Int>) {
    self.operation = operation
    self.id = id
    self.range = range
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
  }
}
