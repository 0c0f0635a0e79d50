import Reactor
import Synchronization

/// One disk's worth of storage: a file, a block device, or memory, from which replicas take clusters as they are written.
///
/// A pool belongs to one thread at a time: to whoever calls until its first replica is opened, then to that replica's reactor until
/// `close`. Calls here hand their work to that reactor and wait: they are for control threads, `openReplica` excepted. On the
/// reactor's own thread they run the reactor meanwhile, which is for programs with no thread to spare and never for callbacks.
public final class Pool: Sendable {
  /// What the clusters lie in.
  enum Storage: Sendable {
    case disk(DiskFile)
    case memory(MemoryRegion)
  }

  private enum Owner {
    case caller(PoolEngine, ImmediateDisk)
    case reactor(PoolEngine, Reactor)
    case closed
  }

  public let id: Identifier
  public let name: String
  /// The path, `drill:PATH`, or `mem:SIZE`.
  public let location: String
  /// Whether the content ends with the process.
  public let isVolatile: Bool
  /// Whether what was written is as durable as it will be, without a flush. Memory keeps nothing that its end would not take.
  public let isWriteThrough: Bool
  /// Whether the death of the process is a power loss to the pool: for tests and drills.
  public let isDrill: Bool
  /// The unit of allocation.
  public let clusterBytes: UInt64
  /// Bytes that replicas can have in all.
  public let totalBytes: UInt64
  /// The smallest block size of replicas.
  public let sectorBytes: UInt32
  /// What was found damaged and made up for when the pool was opened; to be logged.
  public let warnings: [String]
  /// What was done when the pool was opened that is worth a line in the log: space that was taken, another name of its device.
  public let notices: [String]
  /// Whether it keeps checksums of its data.
  public var integrity: PoolIntegrity { superblock.sums.isPresent ? .crc32c : .none }
  /// Errors of the device, and whether they made the pool read-only.
  public let report: PoolReport

  let superblock: Superblock
  private let storage: Mutex<Storage?>
  /// The lock is held by callers while they own the pool; never by a reactor for longer than it takes to look.
  private let owner: Mutex<ReactorBound<Owner>>

  init(
    superblock: Superblock, storage: Storage, location: String, warnings: [String], notices: [String] = [],
    isDrill: Bool = false,
    makeEngine: (PoolDisk, PoolReport) -> PoolEngine
  ) {
    id = superblock.id
    name = superblock.name
    self.location = location
    self.isDrill = isDrill
    self.superblock = superblock
    self.warnings = warnings
    self.notices = notices
    report = PoolReport(location: location)
    clusterBytes = superblock.clusterBytes
    totalBytes = superblock.clusterBytes * superblock.clusterCount
    let disk: ImmediateDisk
    switch storage {
    case .disk(let file):
      isVolatile = false
      isWriteThrough = file.isWriteThrough
      sectorBytes = file.sectorBytes
      disk = BlockingDisk(file: file)
    case .memory(let region):
      isVolatile = true
      isWriteThrough = true
      sectorBytes = superblock.sectorBytes
      disk = MemoryDisk(region: region, reactor: nil)
    }
    self.storage = Mutex(storage)
    let engine = makeEngine(disk, report)
    engine.bootID = isDrill ? .random() : BootIdentifier.current
    owner = Mutex(ReactorBound(.caller(engine, disk)))
    // Goes on beside what is asked of the pool: what there is to do in the background may be any amount.
    engine.resume()
  }

  deinit {
    // The disk and the machine hold each other.
    owner.withLock { owner in if case .caller(_, let disk) = owner.value { disk.detach() } }
  }

  /// Runs `body` where the pool lives; it hands its result to the function it is given, once.
  func perform<Value: Sendable>(
    _ body: @escaping @Sendable (PoolEngine, @escaping @Sendable (Result<Value, PoolError>) -> Void) -> Void
  ) throws(PoolError) -> Value {
    let outcome = Outcome<Value>()
    let bound: ReactorBound<(PoolEngine, Reactor)>? = owner.withLock { owner in
      switch owner.value {
      case .closed: outcome.value.withLock { $0 = .failure(.closed(pool: name)) }
      case .reactor(let engine, let reactor): return ReactorBound((engine, reactor))
      case .caller(let engine, let disk):
        body(engine) { result in outcome.value.withLock { $0 = result } }
        disk.drain(until: { outcome.value.withLock { $0 != nil } })
      }
      return nil
    }
    if let bound {
      let reactor = bound.value.1
      if reactor.isCurrent {
        body(bound.value.0) { result in outcome.value.withLock { $0 = result } }
        reactor.run(until: { outcome.value.withLock { $0 != nil } })
      } else {
        return try ReactorReference(reactor).callAsynchronously { (_, done: @escaping @Sendable (Result<Value, PoolError>) -> Void) in
          body(bound.value.0, done)
        }.get()
      }
    }
    guard let result = outcome.value.withLock({ $0 }) else { preconditionFailure("an operation on the pool \(name) has no end") }
    return try result.get()
  }

  private final class Outcome<Value: Sendable>: Sendable {
    let value = Mutex<Result<Value, PoolError>?>(nil)
  }

  /// As `perform`, for changes that answer with an error or nothing.
  func change(_ body: @escaping @Sendable (PoolEngine, @escaping PoolEngine.Done) -> Void) throws(PoolError) {
    let _: Bool = try perform { engine, done in
      body(engine) { error in done(error.map { .failure($0) } ?? .success(true)) }
    }
  }

  /// Reads something of the state.
  func look<Value: Sendable>(_ body: @escaping @Sendable (PoolEngine) -> Value) throws(PoolError) -> Value {
    try perform { engine, done in done(.success(body(engine))) }
  }

  /// Binds a replica to `reactor`; called on its thread. Does no I/O. All replicas of a pool are opened on one reactor.
  public func openReplica(_ id: Identifier, on reactor: Reactor) throws(PoolError) -> PoolReplica {
    let bound = ReactorBound(reactor)
    let opened: Result<ReactorBound<PoolReplica>, PoolError> = owner.withLock { owner in
      switch owner.value {
      case .closed: return .failure(.closed(pool: name))
      case .reactor(let engine, let other):
        guard other === bound.value else { return .failure(.boundElsewhere(pool: name)) }
        return makeReplica(id, engine)
      case .caller(let engine, let disk):
        if case .failure(let error) = check(id, engine) { return .failure(error) }
        guard hand(engine, disk, to: bound.value) else { return .failure(.closed(pool: name)) }
        owner = ReactorBound(.reactor(engine, bound.value))
        return makeReplica(id, engine)
      }
    }
    return try opened.get().value
  }

  /// Gives the pool to `reactor` before any replica is opened, so that no caller has to do its work; called on its thread.
  public func bind(to reactor: Reactor) throws(PoolError) {
    let bound = ReactorBound(reactor)
    let failure: PoolError? = owner.withLock { owner in
      switch owner.value {
      case .closed: return .closed(pool: name)
      case .reactor(_, let other): return other === bound.value ? nil : .boundElsewhere(pool: name)
      case .caller(let engine, let disk):
        guard hand(engine, disk, to: bound.value) else { return .closed(pool: name) }
        owner = ReactorBound(.reactor(engine, bound.value))
        return nil
      }
    }
    if let failure { throw failure }
  }

  private func hand(_ engine: PoolEngine, _ disk: ImmediateDisk, to reactor: Reactor) -> Bool {
    guard let storage = storage.withLock({ $0 }) else { return false }
    // What is under way in the background ends here and goes on there.
    engine.isQuiescing = true
    disk.drain(until: { false })
    disk.detach()
    switch storage {
    case .disk(let file): engine.disk = isDrill ? DrillDisk(file: file, reactor: reactor) : ReactorDisk(file: file, reactor: reactor)
    case .memory(let region): engine.disk = MemoryDisk(region: region, reactor: reactor)
    }
    engine.disk.engine = engine
    engine.resume()
    return true
  }

  private func check(_ id: Identifier, _ engine: PoolEngine) -> Result<ReplicaHeader, PoolError> {
    guard let header = engine.state.replicas[id]?.header else { return .failure(.unknownReplica(pool: name, id: id)) }
    if engine.busy.contains(id) { return .failure(.replicaInUse(pool: name, id: id)) }
    // The pool may have been moved to a device with larger sectors.
    guard header.blockSizeBytes >= sectorBytes else {
      return .failure(.unsupportedBlockSize(pool: name, blockSizeBytes: header.blockSizeBytes, sectorBytes: sectorBytes))
    }
    return .success(header)
  }

  private func makeReplica(_ id: Identifier, _ engine: PoolEngine) -> Result<ReactorBound<PoolReplica>, PoolError> {
    check(id, engine).map { ReactorBound(PoolReplica($0, pool: self, engine: engine)) }
  }

  /// Lets the storage go, after what is in flight. Throws `replicaInUse` while a replica is open; closing twice does nothing.
  public func close() throws(PoolError) {
    do throws(PoolError) {
      let _: Bool = try perform { [name] engine, done in
        if let open = engine.devices.first(where: \.isOpen) { return done(.failure(.replicaInUse(pool: name, id: open.replica))) }
        engine.quiesce {
          engine.disk.detach()
          done(.success(true))
        }
      }
    } catch {
      if case .closed = error { return }
      throw error
    }
    owner.withLock { $0 = ReactorBound(.closed) }
    storage.withLock { $0 = nil }
  }
}
