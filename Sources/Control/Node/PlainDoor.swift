import Nexus
import Pool
import Reactor

/// A nexus's door to a replica that is reached as a plain block device: the claim is the store's alone, and logs and records are not
/// kept. Whoever uses it must know from elsewhere that the members are equal.
final class PlainDoor: ReplicaDoor {
  private let device: BlockDevice
  private let reactor: Reactor
  private var answers: [() -> Void] = []

  init(_ device: BlockDevice, on reactor: Reactor) {
    self.device = device
    self.reactor = reactor
    super.init(sizeBytes: device.sizeBytes, blockSizeBytes: device.blockSizeBytes)
    reactor.register(self)
  }

  func close() { reactor.unregister(self) }

  override func submit(_ request: BlockRequest, for client: BlockClient) { device.submit(request, for: client) }

  override func discardUnstarted(of client: BlockClient) { device.discardUnstarted(of: client) }

  override func ask(_ question: ReplicaQuestion, then answer: @escaping (Result<ReplicaAnswer, ReplicaRefusal>) -> Void) {
    let reply: Result<ReplicaAnswer, ReplicaRefusal>
    switch question {
    case .claim(let claim), .claimFrom(let claim, _): reply = .success(.claimed(Self.accepted(claim, sizeBytes: sizeBytes)))
    case .renewLease: reply = .success(.leased(nanoseconds: Self.leaseNanoseconds))
    case .storeSet, .release, .setRegions, .forgetPeer, .clearLostCache: reply = .success(.done)
    case .checksums, .allocatedRanges, .metadata, .createSnapshot, .deleteSnapshot, .grow:
      reply = .failure(.invalid("a plain block device keeps no records"))
    }
    answers.append { answer(reply) }
    reactor.postpone(handlerID, token: 0, result: 0)
  }

  override func completed(token: UInt64, result: Int32) { answers.removeFirst()() }

  /// The volume moves to no other node.
  private static let leaseNanoseconds: UInt64 = 3_600_000_000_000

  private static func accepted(_ claim: ReplicaClaim, sizeBytes: UInt64) -> ClaimedReplica {
    ClaimedReplica(
      before: ReplicaMetadata(claim: claim, bootID: .none, mayHaveLostCache: false, hotRegions: [], missed: []), incarnation: claim.nexusID,
      sizeBytes: sizeBytes, regionBytes: PoolOptions.standard.regionBytes, maximumHotRegions: 65_536, isWriteThrough: false,
      leaseNanoseconds: leaseNanoseconds, snapshots: [])
  }
}
