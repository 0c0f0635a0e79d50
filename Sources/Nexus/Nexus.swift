import Reactor

/// The running thing that serves a volume: fans every write out to all members of the in-sync set, acknowledges when all have
/// it, reads from the nearest.
///
/// Rules it keeps here: R1 (a write is acknowledged when every member of the set did it), R2 (a member leaves by a committed
/// change, before any write it missed is acknowledged), R8 (a read is answered by a member, never overlapping a change under
/// way), R9 (overlapping commands in the order they came, partial blocks by read-modify-write). It does no I/O of its own: the
/// members are block devices, the store is `NexusSurroundings`; a test hands it others.
public final class Nexus: BlockDevice {
  public enum State: Equatable, Sendable {
    case serving
    /// No member can be reached; commands are answered Inaccessible.
    case blocked(reason: String)
    /// Another nexus owns the volume; nothing is served any more.
    case fenced
  }

  /// The unit of consistency: smaller changes are read-modify-write of whole units.
  static let unitBytes: UInt64 = 4096
  /// Deallocate and Write Zeroes of more than this take turns with other commands.
  static let stepBytes: UInt64 = 256 << 20
  static let maximumMembers = 8
  /// Commands in flight at most; beyond it hosts are told to try again.
  static let maximumCommands = 65_536

  public private(set) var members: [NexusMember]
  public private(set) var state = State.serving
  /// Commands that failed on one member and were served by another.
  public private(set) var readErrors: UInt64 = 0

  let reactor: Reactor
  /// Same order as `members`.
  private let devices: [BlockDevice]
  unowned(unsafe) let surroundings: NexusSurroundings
  var slots = SlotTable(capacity: 256, limit: Nexus.maximumCommands, empty: NexusSlot())
  var locks = RangeLocks()
  /// Bit per member that gets writes and serves reads.
  private(set) var activeMask: UInt8 = 0
  /// Which members to read from, nearest first.
  private let readOrder: [Int]
  /// Whether the store knows that members may differ after a crash.
  private var isDirty: Bool
  private var commitInFlight: MembershipChange?
  /// Commands that wait for a commit, in order.
  private var awaitingCommit: [Int] = []
  var awaitingBuffer: [Int] = []

  /// - Parameters:
  ///   - devices: the copies, in the order of `members`, all on `reactor`.
  ///   - nearest: the member to read from first (the one on this node).
  ///   - isDirty: whether the store says already that the members may differ.
  public init(
    reactor: Reactor, sizeBytes: UInt64, blockSizeBytes: UInt32, members: [NexusMember], devices: [BlockDevice], nearest: Int?,
    isDirty: Bool, surroundings: NexusSurroundings
  ) {
    precondition(members.count == devices.count && !members.isEmpty && members.count <= Self.maximumMembers)
    self.reactor = reactor
    self.members = members
    self.devices = devices
    unsafe self.surroundings = surroundings
    self.isDirty = isDirty
    var order = Array(members.indices)
    if let nearest, let position = order.firstIndex(of: nearest) {
      order.remove(at: position)
      order.insert(nearest, at: 0)
    }
    readOrder = order
    super.init(sizeBytes: sizeBytes, blockSizeBytes: blockSizeBytes)
    for index in members.indices where members[index].state == .inSync { activeMask |= 1 << UInt8(index) }
    reactor.register(self)
  }

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
      // Told through the deferred queue: never from inside submit. Without a slot the client is reached by a detour.
      unsafe refusals.append(Refusal(client: Unmanaged.passUnretained(client), token: request.token, status: .busy))
      reactor.postpone(handlerID, token: Self.refusalToken, result: 0)
      return
    }
    slots[slot].request = request
    unsafe slots[slot].client = unsafe Unmanaged.passUnretained(client)
    if !accepts(request) {
      finishLater(slot, .outOfRange)
      return
    }
    if state != .serving {
      finishLater(slot, .inaccessible)
      return
    }
    begin(slot)
  }

  @safe private struct Refusal {
    let client: Unmanaged<BlockClient>
    let token: UInt64
    let status: BlockStatus
  }

  private var refusals: [Refusal] = []
  private static let refusalToken: UInt64 = 1 << 39
  static let bufferToken: UInt64 = 1 << 38

  private func begin(_ slot: Int) {
    switch slots[slot].request.operation {
    case .read:
      slots[slot].start = slots[slot].request.offsetBytes
      slots[slot].end = slots[slot].request.offsetBytes + slots[slot].request.byteCount
      lock(slot, isShared: true)
    case .flush: run(slot)
    case .write:
      let request = slots[slot].request
      slots[slot].start = request.offsetBytes & ~(Self.unitBytes - 1)
      slots[slot].end = (request.offsetBytes + request.byteCount + Self.unitBytes - 1) & ~(Self.unitBytes - 1)
      lock(slot, isShared: false)
    case .writeZeroes, .deallocate:
      slots[slot].position = slots[slot].request.offsetBytes
      nextStep(slot)
    }
  }

  func lock(_ slot: Int, isShared: Bool) {
    slots[slot].holdsRange = true
    slots[slot].isWaiting = true
    if locks.insert(slot: slot, start: slots[slot].start, end: slots[slot].end, isShared: isShared) { run(slot) }
  }

  /// The range is ours, or none is needed.
  func run(_ slot: Int) {
    slots[slot].isWaiting = false
    if slots[slot].request.operation == .read {
      readFromNext(slot)
      return
    }
    if slots[slot].request.operation != .flush, !isDirty {
      // The store must know that the members may differ before they do.
      awaitingCommit.append(slot)
      commitIfNeeded()
      return
    }
    switch slots[slot].request.operation {
    case .flush: unsafe fanOut(slot, BlockRequest(.flush, token: 0))
    case .write: runWrite(slot)
    case .writeZeroes, .deallocate: runStep(slot)
    case .read: preconditionFailure("handled above")
    }
  }

  // MARK: Members

  /// Sends one change to every active member.
  func fanOut(_ slot: Int, _ request: BlockRequest) {
    slots[slot].okMask = 0
    slots[slot].sentMask = activeMask
    slots[slot].pending = Int8(activeMask.nonzeroBitCount)
    if activeMask == 0 {
      finishLater(slot, .inaccessible)
      return
    }
    var request = request
    for index in devices.indices where slots[slot].sentMask & (1 << UInt8(index)) != 0 {
      request.token = UInt64(slot) << 8 | UInt64(index)
      devices[index].submit(request, for: self)
    }
  }

  /// Reads for a slot from one member; `tried` remembers which failed.
  func readFromNext(_ slot: Int) {
    for index in readOrder {
      let bit = UInt8(1) << UInt8(index)
      guard activeMask & bit != 0, slots[slot].triedMask & bit == 0 else { continue }
      slots[slot].triedMask |= bit
      slots[slot].pending = 1
      var request = slots[slot].readRequest
      request.token = UInt64(slot) << 8 | UInt64(index)
      devices[index].submit(request, for: self)
      return
    }
    finishLater(slot, slots[slot].status == .success ? .inaccessible : slots[slot].status)
  }

  public override func blockRequestCompleted(token: UInt64, status: BlockStatus) {
    let slot = Int(token >> 8)
    let index = Int(token & 0xFF)
    slots[slot].pending -= 1
    if slots[slot].isReading {
      if status == .success {
        readDone(slot)
      } else {
        readErrors += 1
        slots[slot].status = status
        // A read error leaves the copy in the set: the block is read elsewhere. A lost path does not.
        if status == .connectionLost || status == .inaccessible { fault(index, Self.reason(status, "read")) }
        readFromNext(slot)
      }
      return
    }
    if status == .success { slots[slot].okMask |= 1 << UInt8(index) } else {
      slots[slot].status = status
      fault(index, Self.reason(status, "\(slots[slot].request.operation)"))
    }
    if slots[slot].pending == 0 { changeDone(slot) }
  }

  private static func reason(_ status: BlockStatus, _ operation: String) -> String {
    switch status {
    case .connectionLost, .inaccessible: "the connection was lost"
    case .capacityExceeded: "no space for a \(operation)"
    default: "\(operation) failed (\(status))"
    }
  }

  /// The path to a member is lost; commands on it end by themselves.
  public func memberLost(_ replica: String) {
    guard let index = members.firstIndex(where: { $0.replica == replica && $0.state == .inSync }) else { return }
    fault(index, Self.reason(.connectionLost, ""))
  }

  /// A member cannot go on. The last one stays: its errors are the volume's.
  private func fault(_ index: Int, _ reason: String) {
    let bit = UInt8(1) << UInt8(index)
    guard activeMask & bit != 0 else { return }
    if activeMask == bit {
      if reason == "the connection was lost" {
        activeMask = 0
        state = .blocked(reason: "the last in-sync replica \(members[index].replica) cannot be reached")
        unsafe surroundings.nexusChanged()
      }
      return
    }
    activeMask &= ~bit
    members[index].state = .leaving(reason: reason)
    unsafe surroundings.nexusChanged()
    commitIfNeeded()
  }

  /// All members a change was sent to have answered.
  private func changeDone(_ slot: Int) {
    let missed = slots[slot].sentMask & ~slots[slot].okMask
    if missed == 0 {
      stepDone(slot)
    } else if slots[slot].okMask == 0 && (activeMask == 0 || slots[slot].sentMask & activeMask == slots[slot].sentMask) {
      // Every copy refused it and none left for it: the host is told, and may write again.
      finish(slot, slots[slot].status)
    } else {
      // Some have it and some do not: not before those are out of the set (R2).
      awaitingCommit.append(slot)
      commitIfNeeded()
    }
  }

  // MARK: Membership

  private func commitIfNeeded() {
    guard commitInFlight == nil, state != .fenced else { return }
    var change = MembershipChange(members: [], leaving: [], isClean: false)
    for member in members {
      switch member.state {
      case .inSync: change.members.append(member.replica)
      case .leaving(let reason): change.leaving.append((member.replica, reason))
      case .out: break
      }
    }
    if change.leaving.isEmpty && isDirty {
      resumeAfterCommit()
      return
    }
    commitInFlight = change
    unsafe surroundings.commit(change)
  }

  /// The outcome of the last `NexusSurroundings.commit` is known.
  public func membershipCommitted(_ outcome: MembershipOutcome) {
    guard let change = commitInFlight else { return }
    commitInFlight = nil
    guard outcome == .committed else {
      state = .fenced
      activeMask = 0
      unsafe surroundings.nexusChanged()
      let waiting = awaitingCommit
      awaitingCommit = []
      for slot in waiting { finish(slot, .inaccessible) }
      return
    }
    isDirty = true
    for (replica, reason) in change.leaving {
      if let index = members.firstIndex(where: { $0.replica == replica }) { members[index].state = .out(reason: reason) }
    }
    unsafe surroundings.nexusChanged()
    let isMore = members.contains { if case .leaving = $0.state { true } else { false } }
    if isMore { commitIfNeeded() } else { resumeAfterCommit() }
  }

  private func resumeAfterCommit() {
    let waiting = awaitingCommit
    awaitingCommit = []
    for slot in waiting {
      if slots[slot].sentMask == 0 {
        run(slot)
      } else if slots[slot].okMask & activeMask == activeMask && activeMask != 0 {
        stepDone(slot)
      } else {
        // No remaining member has it: the host is told.
        finish(slot, slots[slot].status == .success ? .inaccessible : slots[slot].status)
      }
    }
  }

  // MARK: Ends

  /// Ends a command from inside a completion.
  func finish(_ slot: Int, _ status: BlockStatus) {
    let client = unsafe slots[slot].client
    let token = slots[slot].request.token
    if slots[slot].holdsRange { unlock(slot) }
    if let bounce = unsafe slots[slot].bounce {
      unsafe reactor.arena.release(bounce)
      bufferReleased()
    }
    slots.free(slot)
    unsafe client?._withUnsafeGuaranteedRef { $0.blockRequestCompleted(token: token, status: status) }
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

  public override func completed(token: UInt64, result: Int32) {
    if token == Self.refusalToken {
      let refusal = refusals.removeFirst()
      unsafe refusal.client._withUnsafeGuaranteedRef { $0.blockRequestCompleted(token: refusal.token, status: refusal.status) }
    } else if token == Self.bufferToken {
      retryBuffers()
    } else {
      let slot = Int(token)
      if slots[slot].isEnding { finish(slot, slots[slot].status) }
    }
  }

  /// Commands of a client that ended: those that wait for a range have had no effect and never will (R12).
  public override func discardUnstarted(of client: BlockClient) {
    let pointer = unsafe Unmanaged.passUnretained(client).toOpaque()
    for slot in 0..<slots.capacity where slots.isInUse(slot) && !slots[slot].isEnding {
      guard let owner = unsafe slots[slot].client, unsafe owner.toOpaque() == pointer else { continue }
      slots[slot].isAbandoned = true
      if slots[slot].isWaiting {
        slots[slot].isWaiting = false
        locks.forgetUnblocked(slot: slot)
        finishLater(slot, .aborted)
      }
    }
  }
}
