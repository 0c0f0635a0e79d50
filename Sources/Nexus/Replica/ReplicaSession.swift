import Pool
import Reactor

/// One nexus's way through a replica's gate; for the nexus on the replica's own reactor it is the door itself.
///
/// It counts what it has in the storage, so that the gate knows when that is over (R11). Clients must outlive their requests; the
/// gate keeps the session as long as it has any.
public final class ReplicaSession: ReplicaDoor {
  public typealias Answer = (Result<ReplicaAnswer, ReplicaRefusal>) -> Void

  /// Requests in flight at most; beyond it they are answered with busy.
  public static let maximumRequests = 1 << 17

  @safe private struct Slot: BitwiseCopyable {
    var client: Unmanaged<BlockClient>?
    var token: UInt64 = 0
  }

  let gate: ReplicaGate
  private let storage: ReplicaStorage
  @exclusivity(unchecked) private var slots = SlotTable<Slot>(capacity: 64, limit: ReplicaSession.maximumRequests, empty: Slot())
  /// Whether its claim is the one that counts.
  @exclusivity(unchecked) var isServing = false
  /// Whether somebody waits until it has nothing in the storage.
  @exclusivity(unchecked) var isWatched = false
  /// The claim it made, accepted or on its way.
  var claim: ReplicaClaim?
  /// Why it is over.
  var end: ReplicaRefusal?
  var questionsInFlight = 0
  private var settling: (() -> Void)?

  init(gate: ReplicaGate) {
    self.gate = gate
    storage = gate.storage
    super.init(sizeBytes: gate.storage.sizeBytes, blockSizeBytes: gate.storage.blockSizeBytes)
  }

  /// Whether its claim is accepted and no higher one is known.
  public var isClaimed: Bool { unsafe isServing }
  /// Whether it is over: superseded, or closed.
  public var isOver: Bool { end != nil }
  /// Requests and questions under way.
  public var inFlight: Int { unsafe slots.usedCount + questionsInFlight }
  var isSettled: Bool { unsafe slots.usedCount == 0 && questionsInFlight == 0 }

  public override func submit(_ request: BlockRequest, for client: BlockClient) {
    guard unsafe isServing, let slot = unsafe slots.take() else {
      return unsafe gate.answerLater(client, request.token, isServing ? .busy : .refused)
    }
    unsafe slots[slot].client = .passUnretained(client)
    unsafe slots[slot].token = request.token
    var own = request
    own.token = UInt64(slot)
    storage.submit(own, for: self)
  }

  public override func discardUnstarted(of client: BlockClient) { storage.discardUnstarted(of: self) }

  public override func blockRequestCompleted(token: UInt64, status: BlockStatus) {
    let slot = Int(token)
    let client = unsafe slots[slot].client!
    let clientToken = unsafe slots[slot].token
    unsafe slots.free(slot)
    unsafe client._withUnsafeGuaranteedRef { $0.blockRequestCompleted(token: clientToken, status: status) }
    if unsafe isWatched { checkSettled() }
  }

  public override func ask(_ question: ReplicaQuestion, then answer: @escaping Answer) { gate.take(question, from: self, then: answer) }

  /// Ends the session; nothing begins any more, and `sessionEnded` is not told. What is under way ends as it does. The replica stays
  /// claimed, and the lease runs on (R3b), unless `release` came before.
  public func close() { gate.close(self) }

  func whenSettled(_ body: @escaping () -> Void) {
    settling = body
    unsafe isWatched = true
    checkSettled()
  }

  func checkSettled() {
    guard unsafe isWatched, isSettled else { return }
    if let settling {
      self.settling = nil
      unsafe isWatched = end != nil || gate.pending != nil
      settling()
    }
    if unsafe isWatched { gate.settled() }
  }
}
