import Pool
import Reactor

/// The running thing that serves a volume: fans every write out to all members of the in-sync set, acknowledges when all have
/// it, reads from the nearest; and the owner of everything that keeps the members equal.
///
/// What happens in which state, and by which rule, is in `STATES.md`. It does no I/O of its own: replicas are doors, the store
/// and the clock are `NexusSurroundings`, and all that waits is a timer of the reactor; a test or a simulator hands it others.
///
/// Folders: `Data` is the path of commands; `Members` claims, membership, leases; `Log` the activity log; `Rebuild` whatever copies
/// from replica to replica; `Scrub` what compares them for its own sake; `Snapshots` what the volume was, and how large it is.
@safe public final class Nexus: BlockDevice {
  public enum State: Equatable, Sendable {
    /// Members are being claimed. Commands wait.
    case starting(reason: String)
    case serving
    /// Too few members can be used. Commands wait, and after their patience are answered Inaccessible.
    case blocked(reason: String)
    /// Another nexus owns the volume; nothing is served any more.
    case fenced
    /// After `shutDown`.
    case stopped
  }

  /// Where the members are on their way to service.
  enum Phase {
    /// Until enough members accepted their claim.
    case gathering
    /// Their logs and records are being made alike.
    case preparing
    case prepared
  }

  /// The unit of consistency: smaller changes are read-modify-write of whole units.
  public static let unitBytes: UInt64 = 4096
  /// Replicas of a volume, absent ones included.
  public static let maximumMembers = 8
  /// Commands in flight at most; beyond it hosts are told to try again.
  static let maximumCommands = 65_536

  public internal(set) var state = State.starting(reason: "claiming the replicas")
  /// Reads that failed on one member, whether or not another served them.
  public internal(set) var readErrors: UInt64 = 0
  /// Commands that were answered Inaccessible because they had waited too long (R12).
  public internal(set) var impatientCommands: UInt64 = 0
  /// Nothing can be served, and nobody can be asked: hosts are better off elsewhere (`setSecluded`).
  public internal(set) var isCutOff = false
  public let configuration: NexusConfiguration
  public var plantedErrors: PlantedErrors = [] {
    didSet { locks.isOpen = plantedErrors.contains(.dropsRangeLocks) }
  }
  /// Below this many members in sync nothing is served (R1).
  public internal(set) var minInSync: Int

  /// Deallocate and Write Zeroes of more than this take turns with other commands. Whole units.
  var stepBytes: UInt64 = 256 << 20
  /// How long a member that had no buffer or slot is left alone, and how long to wait for a buffer of our own.
  var retryNanoseconds: UInt64 = 1_000_000

  let reactor: Reactor
  unowned(unsafe) let surroundings: NexusSurroundings
  let slots = NexusSlots(capacity: 256, limit: Nexus.maximumCommands)
  var locks = RangeLocks()

  // MARK: Replicas

  var replicas: [ReplicaEntry]
  /// The doors, to be called without counting references.
  var paths: InlineArray<8, Unmanaged<BlockDevice>?>
  /// Former doors, until what was sent through them is over.
  var formerDoors: [ReplicaDoor] = []
  /// Replicas by nearness.
  var readOrder: InlineArray<8, UInt8>
  var latencies: MemberLatencies
  var isLookDue = false

  // Bits per replica.

  /// Members that get changes and serve reads; 0 when nothing is served.
  var activeMask: UInt8 = 0
  /// Members that are claimed and well, whether or not anything is served.
  var healthyMask: UInt8 = 0
  /// Whose word an acknowledgement needs: the set as the store has it, together with the one on its way there.
  var setMask: UInt8 = 0
  /// The members among them on their way out.
  var leavingMask: UInt8 = 0
  /// Those on their way in, from before the commit is sent.
  var joiningMask: UInt8 = 0
  /// Replicas outside of the set that are sent every change.
  var syncMask: UInt8 = 0
  /// Replicas about to be: the activity log is kept on them already.
  var preparingMask: UInt8 = 0
  /// Absent replicas of which the members hold an unbroken record of what they missed (R6).
  var recordedMask: UInt8 = 0
  /// Absent replicas whose record lacks regions of the activity log still; none may leave it until then (R6).
  var unrecordedMask: UInt8 = 0
  /// Replicas that lost their data or were taken back to an old copy: what they missed is everything (R3).
  var rolledBackMask: UInt8 = 0
  /// Absent replicas of which the store knows, or need not know, that they accepted this generation.
  var returnKnownMask: UInt8 = 0
  /// Those of which it is to be told.
  var returningMask: UInt8 = 0
  /// Members whose cache may be lost and that have yet to be made equal (R7).
  var lostMask: UInt8 = 0
  /// Those that still say so themselves.
  var saidLostMask: UInt8 = 0
  /// Whose data are durable without a flush.
  var writeThroughMask: UInt8 = 0

  // MARK: Members

  var phase = Phase.gathering
  var claim: ReplicaClaim
  var graceEndNanoseconds: UInt64 = 0
  /// What the store is asked for, until what follows from it is durable.
  var membershipStep: MembershipStep?
  /// How many there were.
  var membershipCount = 0
  var isFenced = false
  /// The store knows that this generation serves (R3), or need not know.
  var isConfirmed: Bool
  /// Counts the times service ended, so that what was begun before is known from what was begun since.
  var serviceEpoch = 0
  var shutDownCompletion: (() -> Void)?
  var shutDownTries = 0

  // MARK: Leases

  let leaseClock: (() -> UInt64)?
  /// Reads are answered before this, on the lease clock (R3b).
  var leaseEndNanoseconds: UInt64 = 0
  /// From here on leases are renewed.
  var leaseRenewNanoseconds: UInt64 = 0
  /// Reads whose data are here and must not be told yet.
  var awaitingLease: [Int] = []
  var isRenewalDue = false
  /// The node says that it reaches nobody.
  var isSecluded = false
  var isSeclusionLookDue = false
  /// Members have been asked for leases since.
  var isSeclusionAsked = false

  // MARK: Regions

  /// Log base two of the unit of logs and records.
  var regionShift = 22
  var hasGeometry = false
  var log = ActivityLog(regionCount: 0, capacity: 0)
  /// Changes that wait for room in the log, in order.
  var awaitingLog: [Int] = []
  /// Changes that are pinned and wait until the logs hold their regions.
  var awaitingActivation: [Int] = []
  var toActivate: [Int] = []
  var isActivating = false
  var isPumpDue = false
  var drop: LogDrop?
  var isIdleEventDue = false

  // MARK: Commands that wait

  /// For service.
  var awaitingService: [Int] = []
  /// For a commit, in order.
  var awaitingCommit: [Int] = []
  /// For their region to be made equal.
  var awaitingRegion: [Int] = []
  /// Read-modify-writes that wait for a buffer, in order.
  var awaitingBuffer: [Int] = []
  /// Requests that a member answered with busy, by the token they are sent with.
  var awaitingMember: [UInt64] = []
  var isBufferEventDue = false
  var isMemberEventDue = false
  var isPatienceEventDue = false
  private var refusals: [Refusal] = []

  // MARK: Rebuild

  var copiers: [RegionCopier] = []
  var reconciliation = RegionQueue()
  var resyncs: [Resync?] = Array(repeating: nil, count: Nexus.maximumMembers)
  lazy var flushes = ReplicaFlushes(nexus: self)
  /// Members that could not be read for reconciliation.
  var reconciliationFailedMask: UInt8 = 0
  var isCopyDue = false
  /// Service begins as soon as what is being copied is over.
  var isServiceDue = false
  var nextResync = 0
  var resyncCount = 0
  public internal(set) var isRebuildingPaused = false
  /// For all rebuilds of the volume together.
  public var throttle = RebuildThrottle()
  /// Shared with the other nexuses of the reactor: copies no faster than hosts can bear, nor than the node may.
  public let budget: RebuildBudget
  /// What becomes of a replica that is far slower than its peers.
  public var slowReplicas: NexusConfiguration.SlowReplicas
  /// When service began last, on the reactor's clock.
  var serviceBeganNanoseconds: UInt64 = 0
  var rebuildHistory: [Rebuild] = []
  /// The latest scrub (R20).
  public internal(set) var scrub: Scrub?
  var scrubber: Scrubber?
  /// Regions to be scrubbed, the next one last.
  var scrubQueue: [Int] = []
  var scrubCount = 0
  var scrubTries = 0
  var repairsUnderWay = 0

  // MARK: Snapshots and size

  /// What the store says of the volume beside its members, as committed.
  var record: VolumeRecord
  /// What it is to say with the next commit.
  var dueRecord: VolumeRecord?
  var take: SnapshotTake?
  /// Snapshots to be taken after that.
  var takeOrders: [SnapshotTake] = []
  var growth: Growth?
  var restorers: [SnapshotRestorer] = []
  /// Replicas that are known not to have a snapshot that goes. Looked up by name only.
  var cleanMasks: [Identifier: UInt8] = [:]
  var isSnapshotStepDue = false
  /// Changes that have not begun wait for a snapshot.
  var isPaused = false
  var awaitingPause: [Int] = []
  /// For how long changes have waited for a snapshot at most.
  public internal(set) var longestPauseNanoseconds: UInt64 = 0
  /// Snapshots restored on replicas that had not taken them.
  public internal(set) var restoredSnapshots: UInt64 = 0
  private var keptAlive: Nexus?
  /// Blocks that one member could not read, and that were written to it anew.
  public internal(set) var repairedReads: UInt64 = 0
  /// Regions compared after a crash or a block, and bytes that differed.
  public internal(set) var reconciledRegions: UInt64 = 0
  public internal(set) var reconciledBytes: UInt64 = 0

  // MARK: Timers

  private var actions: [UInt64: () -> Void] = [:]
  private var nextAction: UInt64 = 0

  static let refusalToken: UInt64 = 1 << 39
  static let bufferToken: UInt64 = 1 << 38
  static let memberToken: UInt64 = 1 << 37
  static let actionToken: UInt64 = 1 << 36

  /// It begins to serve by itself once its doors have appeared (`replicaAppeared`).
  public init(
    reactor: Reactor, configuration: NexusConfiguration, surroundings: NexusSurroundings, budget: RebuildBudget = RebuildBudget()
  ) {
    let members = configuration.claim.inSync
    precondition(!members.isEmpty && members.count + configuration.absent.count <= Self.maximumMembers)
    precondition(configuration.minInSync >= 1 && configuration.minInSync <= Self.maximumMembers)
    precondition(configuration.sizeBytes % Self.unitBytes == 0, "a volume is whole units")
    self.reactor = reactor
    self.configuration = configuration
    minInSync = configuration.minInSync
    self.budget = budget
    unsafe self.surroundings = surroundings
    claim = configuration.claim
    record = VolumeRecord(sizeBytes: configuration.sizeBytes, snapshots: configuration.snapshots)
    slowReplicas = configuration.slowReplicas
    leaseClock = surroundings.bootNanoseconds
    isConfirmed = configuration.confirmedGeneration == nil
    replicas = members.map {
      ReplicaEntry(id: $0, reason: "not reached yet", floorGeneration: configuration.confirmedGeneration ?? 0)
    }
    replicas += configuration.absent.map {
      ReplicaEntry(
        id: $0.replica, reason: $0.reason, floorGeneration: configuration.confirmedGeneration == nil ? 0 : $0.generation,
        isForeign: $0.isForeign)
    }
    unsafe paths = unsafe InlineArray(repeating: nil)
    readOrder = InlineArray { UInt8($0) }
    latencies = MemberLatencies(slowNanoseconds: configuration.slowNanoseconds)
    setMask = UInt8(truncatingIfNeeded: (1 << members.count) - 1)
    super.init(sizeBytes: configuration.sizeBytes, blockSizeBytes: configuration.blockSizeBytes)
    orderReads()
    reactor.register(self)
    beginGathering()
  }

  deinit { slots.destroy() }

  /// All replicas of the volume that are known here.
  public var members: [NexusMember] {
    replicas.indices.filter { !replicas[$0].isForgotten }
      .map { NexusMember(replica: replicas[$0].id, state: memberState($0), slow: replicas[$0].slowness) }
  }

  /// Commands under way, waiting ones included.
  public var inFlight: Int { slots.usedCount }

  /// Leaves the reactor. Nothing may be in flight.
  public func retire() {
    precondition(slots.usedCount == repairsUnderWay)
    state = isFenced ? .fenced : .stopped
    activeMask = 0
    serviceEpoch += 1
    for copier in copiers { copier.timersEnded() }
    for restorer in restorers { restorer.timersEnded() }
    // What copies and repairs have in flight ends later.
    if isCopyingOrRepairing { keptAlive = self }
    for index in replicas.indices {
      replicas[index].door?.sessionEnded = nil
      replicas[index].session += 1
    }
    actions = [:]
    reactor.unregister(self)
  }

  private var isCopyingOrRepairing: Bool {
    repairsUnderWay > 0 || flushes.isBusy || scrubber?.isBusy == true || copiers.contains { $0.isBusy } || restorers.contains { $0.isBusy }
  }

  /// The last of what was in flight at `retire` is over.
  func letGoIfQuiet() {
    guard keptAlive != nil, !isCopyingOrRepairing else { return }
    keptAlive = nil
    // Not from inside of itself.
    let last = ReactorBound(self)
    reactor.post { _ in withExtendedLifetime(last) {} }
  }

  // MARK: Commands

  public override func submit(_ request: BlockRequest, for client: BlockClient) {
    guard let slot = slots.take() else {
      // Without a slot the client is told by a detour, never from inside submit.
      unsafe refusals.append(Refusal(client: Unmanaged.passUnretained(client), token: request.token))
      reactor.postpone(handlerID, token: Self.refusalToken, result: 0)
      return
    }
    slots[slot].request = request
    slots[slot].arrivalNanoseconds = reactor.now
    unsafe slots[slot].client = unsafe Unmanaged.passUnretained(client)
    let isTransfer = request.operation == .read || request.operation == .write
    if !accepts(request) || (isTransfer && request.byteCount > Self.maximumTransferBytes) {
      finishLater(slot, .outOfRange)
    } else if isOver {
      finishLater(slot, .inaccessible)
    } else {
      begin(slot)
    }
  }

  /// Fenced or stopped: nothing is served any more.
  var isOver: Bool { isFenced || state == .stopped }

  @safe private struct Refusal {
    let client: Unmanaged<BlockClient>
    let token: UInt64
  }

  private func begin(_ slot: Int) {
    let request = slots[slot].request
    switch request.operation {
    case .read:
      slots[slot].start = request.offsetBytes
      slots[slot].end = request.offsetBytes + request.byteCount
      lock(slot, end: slots[slot].end, isShared: true)
    case .flush: run(slot)
    case .write:
      slots[slot].start = Self.unitFloor(request.offsetBytes)
      slots[slot].end = Self.unitCeiling(request.offsetBytes + request.byteCount)
      lock(slot, end: slots[slot].end, isShared: false)
    case .writeZeroes, .deallocate:
      slots[slot].position = request.offsetBytes
      nextStep(slot)
    }
  }

  static func unitFloor(_ offsetBytes: UInt64) -> UInt64 { offsetBytes & ~(unitBytes - 1) }
  static func unitCeiling(_ offsetBytes: UInt64) -> UInt64 { (offsetBytes + unitBytes - 1) & ~(unitBytes - 1) }

  /// Runs the command once the bytes from its `start` to `end` are free of earlier commands.
  func lock(_ slot: Int, end: UInt64, isShared: Bool) {
    slots[slot].holdsRange = true
    slots[slot].isWaiting = true
    slots[slot].lockedStart = slots[slot].start
    slots[slot].lockedEnd = end
    if locks.insert(slot: slot, start: slots[slot].start, end: end, isShared: isShared) { run(slot) } else { watchPatience() }
  }

  /// The range is ours, or none is needed. Also where a command goes on that had to wait for something else before it was sent to
  /// anybody, and where one begins anew that had been sent when service ended.
  func run(_ slot: Int) {
    if slot == Scrubber.lockID { return scrubber!.rangeGranted() }
    if slot >= Self.maximumCommands { return copiers[slot - Self.maximumCommands].rangeGranted() }
    slots[slot].isWaiting = false
    if activeMask == 0 { return awaitService(slot) }
    let operation = slots[slot].request.operation
    if operation == .flush { return fanOut(slot) }
    if log.awaitingCount > 0, awaitsRegion(slot) { return }
    if operation == .read { return readFromNext(slot) }
    if isPaused { return awaitEndOfPause(slot) }
    if slots[slot].pinsRegions || pinRegions(slot) { runChange(slot) }
  }

  // MARK: Ends

  /// Ends a command from inside a completion.
  func finish(_ slot: Int, _ status: BlockStatus) {
    let client = unsafe slots[slot].client
    let token = slots[slot].request.token
    if status == .success { noteLatency(slot) }
    if slots[slot].holdsRange { unlock(slot) }
    if slots[slot].isRepair { repairEnded(status) }
    releaseBounce(slot)
    slots.free(slot)
    // Another nexus may have acknowledged newer data: nothing is vouched for any more, and the host shall ask there.
    let told = isFenced && status != .aborted && status != .outOfRange ? .inaccessible : status
    unsafe client?._withUnsafeGuaranteedRef { $0.blockRequestCompleted(token: token, status: told) }
    runUnblocked()
    if shutDownCompletion != nil, slots.usedCount == 0 { after { [self] in goOnShuttingDown() } }
  }

  func unlock(_ slot: Int) {
    slots[slot].holdsRange = false
    if slots[slot].pinsRegions { unpinRegions(slot) }
    locks.remove(slot: slot)
  }

  func runUnblocked() {
    // Bounded by what is in flight: each is given once.
    while let next = locks.nextUnblocked() { run(next) }
  }

  /// Ends a command later in the pass.
  func finishLater(_ slot: Int, _ status: BlockStatus) {
    slots[slot].status = status
    slots[slot].isEnding = true
    reactor.postpone(handlerID, token: UInt64(slot), result: 0)
  }

  public override func blockRequestCompleted(token: UInt64, status: BlockStatus) { memberAnswered(token: token, status: status) }

  public override func discardUnstarted(of client: BlockClient) { discardWaiting(of: client) }

  public override func completed(token: UInt64, result: Int32) {
    switch token {
    case Self.refusalToken:
      let refusal = refusals.removeFirst()
      unsafe refusal.client._withUnsafeGuaranteedRef { $0.blockRequestCompleted(token: refusal.token, status: .busy) }
    case Self.bufferToken: retryBuffers()
    case Self.memberToken: retryMembers()
    case Self.actionToken...(Self.memberToken - 1): actions.removeValue(forKey: token - Self.actionToken)?()
    default: finish(Int(token), slots[Int(token)].status)
    }
  }

  public override func abandoned() {
    actions = [:]
    replicas = []
    formerDoors = []
    copiers = []
    restorers = []
    take = nil
    takeOrders = []
    growth = nil
    scrubber = nil
    shutDownCompletion = nil
    keptAlive = nil
    flushes.abandon()
  }

  /// Does something later: in this pass, or after a time. Not for the path of commands.
  func after(nanoseconds delay: UInt64 = 0, _ body: @escaping () -> Void) {
    let number = nextAction
    nextAction = (nextAction + 1) & 0xF_FFFF_FFFF
    actions[number] = body
    if delay == 0 {
      reactor.postpone(handlerID, token: Self.actionToken + number, result: 0)
    } else {
      reactor.schedule(afterNanoseconds: delay, handlerID, token: Self.actionToken + number)
    }
  }
}
