import Pool

@testable import Nexus

/// One of everything that is said between a nexus and a replica.
enum MessageSamples {
  static let peer = Identifier("00112233-4455-4677-8899-aabbccddeeff")!
  static let claim = ReplicaClaim(
    generation: 0x0102_0304_0506_0708, setVersion: 9, nexusID: peer, inSync: [peer, Identifier("ffffffff-0000-4000-8000-000000000001")!],
    storeRevision: 77)
  static let metadata = ReplicaMetadata(
    claim: claim, bootID: peer, mayHaveLostCache: true, hotRegions: [0, 1, 2, 9, 4000],
    missed: [(peer, Array(stride(from: 1, to: 2000, by: 2))), (claim.inSync[1], [])])

  static let questions: [ReplicaQuestion] = [
    .claim(claim), .storeSet(claim), .renewLease, .release, .setRegions(.activity, [1..<3, 7..<8], isMember: true),
    .setRegions(.missed(peer: peer), [], isMember: true), .setRegions(.missed(peer: peer), [0..<1 << 26], isMember: false),
    .forgetPeer(peer), .clearLostCache, .checksums(offsetBytes: 1 << 40, byteCount: 4 << 20), .allocatedRanges(fromOffsetBytes: 4096),
    .metadata, .createSnapshot(peer, sizeBytes: 1 << 30), .deleteSnapshot(peer), .grow(toSizeBytes: 1 << 33),
    .claimFrom(claim, floorGeneration: 6), .snapshotChecksums(peer, offsetBytes: 8192, byteCount: 1 << 20),
    .readSnapshot(peer, offsetBytes: 1 << 41, byteCount: 4096), .changedRanges(of: peer, since: claim.inSync[1], fromOffsetBytes: 4096),
    .changedRanges(of: nil, since: peer, fromOffsetBytes: 0), .changedRanges(of: peer, since: nil, fromOffsetBytes: 1 << 30),
  ]

  static let replies: [ReplicaReply] = [
    .success(.done),
    .success(
      .claimed(
        ClaimedReplica(
          before: metadata, incarnation: peer, sizeBytes: 1 << 30, regionBytes: 4 << 20, maximumHotRegions: 256, isWriteThrough: true,
          leaseNanoseconds: 2_000_000_000, snapshots: [peer, claim.inSync[1]]))),
    .success(.leased(nanoseconds: 5)), .success(.checksums([1, 2, .max])), .success(.checksums([])),
    .success(.ranges([0..<4096, 8192..<12288], nextOffsetBytes: 20480)), .success(.ranges([], nextOffsetBytes: nil)),
    .success(.metadata(metadata)), .success(.data([1, 2, 3, 255])), .success(.data([])), .failure(.claimed(generation: 7)),
    .failure(.unclaimed), .failure(.lost), .failure(.busy),
    .failure(.noSpace), .failure(.faulted("the disk is gone — für immer")), .failure(.invalid("")),
    .failure(.rolledBack(generation: 3)),
  ].map { (result: Result<ReplicaAnswer, ReplicaRefusal>) in ReplicaReply(result) }
}
