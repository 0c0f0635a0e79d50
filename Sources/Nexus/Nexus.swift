import Reactor

/// The running thing that serves a volume: fans every write out to all members of the in-sync set, acknowledges when all have
/// it, reads from the nearest.
///
/// Rules it keeps here: R1 (a write is acknowledged when every member of the set did it), R2 (a member leaves by a committed
/// change, before any write it missed is acknowledged), R8 (a read is answered by a member, never overlapping a change under
/// way), R9 (overlapping commands in the order they came, partial blocks by read-modify-write), R12 (what a client that ended
/// had not begun never executes), R16 (a member out of buffers is asked again). It does no I/O of its own: the members are block
/// devices, the store is `FormerSurroundings`; a test hands it others.
@safe public final class Nexus: BlockDevice {
  public enum State: Equatable, Sendable {
    case serving
    /// Too few members can be reached; commands are answered Inaccessible.
    case blocked(reason: String)
    /// Another nexus owns the volume; nothing is served any more.
    case fenced
  }

  /// The unit of consistency: smaller changes are read-modify-write of whole units.
  public static let unitBytes: UInt64 = 4096
  public static let maximumMembers = 8
  /// Commands in flight at most; beyond it hosts are told to try again.
  static let maximumCommands = 65_536

  public internal(set) var members: [FormerMember]
  public internal(set) var state = State.serving
  /// Reads that failed on one member, whether or not another served them.
  public internal(set) var readErrors: UInt64 = 0
  /// The set never shrinks below this many members; with fewer nothing is served (R1).
  public let minInSync: Int

  /// Deallocate and Write Zeroes of more than this take turns with other commands. Whole units.
  var stepBytes: UInt64 = 256 << 20
  /// How long a member that had no buffer or slot is left alone, and how long to wait for a buffer of our own.
  var retryNanoseconds: UInt64 = 1_000_000

  let reactor: Reactor
  unowned(unsafe) let surroundings: FormerSurroundings
  let slots = NexusSlots(capacity: 256, limit: Nexus.maximumCommands)
  var locks = RangeLocks()

  /// Owns the copies, in the order of `members`.
  private let devices: [BlockDevice]
  /// The same, to be called without counting references.
  let paths: InlineArray<8, Unmanaged<BlockDevice>?>
  let memberCount: Int
  /// Which members to read from, nearest first.
  let readOrder: InlineArray<8, UInt8>
  /// Bit per member that gets writes and serves reads; 0 when nothing is served.
  var activeMask: UInt8 = 0
  /// Bit per member of the set as the store knows it: the active ones, and those whose removal is not known to be committed.
  var setMask: UInt8 = 0
  /// The members among them on their way out.
  var leavingMask: UInt8 = 0
  /// Whether the store knows that members may differ after a crash.
  var isDirty: Bool
  var isFenced = false

  /// The members whose removal is being committed; nil when no commit is under way.
  var committingMask: UInt8?
  /// Commands that wait for a commit, in order.
  var awaitingCommit: [Int] = []
  /// Read-modify-writes that wait for a buffer, in order.
  var awaitingBuffer: [Int] = []
  /// Requests that a member answered with busy, by the token they are sent with.
  var awaitingMember: [UInt64] = []
  var isBufferEventDue = false
  var isMemberEventDue = false
  private var refusals: [Refusal] = []

  static let refusalToken: UInt64 = 1 << 39
  static let bufferToken: UInt64 = 1 << 38
  static let memberToken: UInt64 = 1 << 37

  /// - Parameters:
  ///   - sizeBytes: whole units of 4096 bytes.
  ///   - devices: the copies, in the order of `members`, all on `reactor`, of the same size and with the same or smaller blocks.
  ///   - nearest: the member to read from first (the one on this node).
  ///   - isDirty: whether the store says already that the members may differ.
  ///   - minInSync: members below which the set never shrinks; with fewer nothing is served (R1).
  public init(
    reactor: Reactor, sizeBytes: UInt64, blockSizeBytes: UInt32, members: [FormerMember], devices: [BlockDevice], nearest: Int?,
    isDirty: Bool, minInSync: Int = 1, surroundings: FormerSurroundings
  ) {
    precondition(members.count == devices.count && !members.isEmpty && members.count <= Self.maximumMembers)
    precondition(minInSync >= 1 && minInSync <= members.count)
    precondition(sizeBytes % Self.unitBytes == 0, "a volume is whole units")
    self.reactor = reactor
    self.members = members
    self.devices = devices
    self.minInSync = minInSync
    memberCount = members.count
    unsafe self.surroundings = surroundings
    self.isDirty = isDirty
    var order = Array(members.indices)
    if let nearest, let position = order.firstIndex(of: nearest) {
      order.remove(at: position)
      order.insert(nearest, at: 0)
    }
    readOrder = InlineArray { $0 < order.count ? UInt8(order[$0]) : 0 }
    unsafe paths = unsafe InlineArray { unsafe $0 < devices.count ? Unmanaged.passUnretained(devices[$0]) : nil }
    super.init(sizeBytes: sizeBytes, blockSizeBytes: blockSizeBytes)
    for index in members.indices where members[index].state == .inSync { activeMask |= 1 << UInt8(index) }
    setMask = activeMask
    if activeMask.nonzeroBitCount < minInSync {
      state = .blocked(reason: "\(activeMask.nonzeroBitCount) of at least \(minInSync) replicas are in sync")
      activeMask = 0
    }
    reactor.register(self)
  }

  deinit { slots.destroy() }

  /// Commands under way, waiting ones included.
  public var inFlight: Int { slots.usedCount }

  /// Leaves the reactor. Nothing may be in flight.
  public func retire() {
    precondition(slots.usedCount == 0)
    reactor.unregister(self)
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
    unsafe slots[slot].client = unsafe Unmanaged.passUnretained(client)
    let isTransfer = request.operation == .read || request.operation == .write
    if !accepts(request) || (isTransfer && request.byteCount > Self.maximumTransferBytes) {
      finishLater(slot, .outOfRange)
    } else if activeMask == 0 {
      finishLater(slot, .inaccessible)
    } else {
      begin(slot)
    }
  }

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
    if locks.insert(slot: slot, start: slots[slot].start, end: end, isShared: isShared) { run(slot) }
  }

  /// The range is ours, or none is needed.
  func run(_ slot: Int) {
    slots[slot].isWaiting = false
    switch slots[slot].request.operation {
    case .read: readFromNext(slot)
    case .flush: fanOut(slot)
    case .write, .writeZeroes, .deallocate:
      if isDirty || activeMask == 0 {
        runChange(slot)
      } else {
        // The store must know that the members may differ before they do.
        awaitingCommit.append(slot)
        commitIfNeeded()
      }
    }
  }

  // MARK: Ends

  /// Ends a command from inside a completion.
  func finish(_ slot: Int, _ status: BlockStatus) {
    let client = unsafe slots[slot].client
    let token = slots[slot].request.token
    if slots[slot].holdsRange { unlock(slot) }
    releaseBounce(slot)
    slots.free(slot)
    // Another nexus may have acknowledged newer data: nothing is vouched for any more, and the host shall ask there.
    let told = isFenced && status != .aborted && status != .outOfRange ? .inaccessible : status
    unsafe client?._withUnsafeGuaranteedRef { $0.blockRequestCompleted(token: token, status: told) }
    runUnblocked()
  }

  func unlock(_ slot: Int) {
    slots[slot].holdsRange = false
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

  public override func completed(token: UInt64, result: Int32) {
    switch token {
    case Self.refusalToken:
      let refusal = refusals.removeFirst()
      unsafe refusal.client._withUnsafeGuaranteedRef { $0.blockRequestCompleted(token: refusal.token, status: .busy) }
    case Self.bufferToken: retryBuffers()
    case Self.memberToken: retryMembers()
    default: finish(Int(token), slots[Int(token)].status)
    }
  }

  /// Commands of a client that ended: those of which no member has heard have had no effect and never will (R12). Long ones
  /// end after the step under way.
  public override func discardUnstarted(of client: BlockClient) {
    let pointer = unsafe Unmanaged.passUnretained(client).toOpaque()
    for slot in 0..<slots.capacity where slots.isInUse(slot) && !slots[slot].isEnding {
      guard let owner = unsafe slots[slot].client, unsafe owner.toOpaque() == pointer else { continue }
      slots[slot].isAbandoned = true
      if slots[slot].isWaiting {
        slots[slot].isWaiting = false
        locks.forgetUnblocked(slot: slot)
        unlock(slot)
        finishLater(slot, .aborted)
      } else if slots[slot].sentMask != 0 {
        continue
      } else if let position = awaitingCommit.firstIndex(of: slot) {
        awaitingCommit.remove(at: position)
        finishLater(slot, .aborted)
      } else if let position = awaitingBuffer.firstIndex(of: slot) {
        awaitingBuffer.remove(at: position)
        finishLater(slot, .aborted)
      }
    }
    runUnblocked()
  }
}
