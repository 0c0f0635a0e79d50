import Foundation

/// What a user asked for. At `spec/volume/<name>`.
public struct VolumeSpec: StoredObject {
  public static let kind = "volume spec"
  public static let sizeStepBytes: UInt64 = 1 << 20
  public static let maximumSizeBytes: UInt64 = 64 << 40
  public static let maximumReplicaCount = 3

  public var id: VolumeID
  public var name: String
  /// A multiple of 1 MiB, from 1 MiB to 64 TiB.
  public var sizeBytes: UInt64
  public var replicaCount: Int
  /// 512 or 4096.
  public var blockSizeBytes: UInt32
  /// Below this many replicas in sync the volume serves nothing (R1); nil means the default for the replica count.
  public var minInSync: Int?
  /// Absent, as in specifications of before it was known, for no.
  private var thick: Bool?
  /// The snapshot that its data begin as; absent for zeros.
  public var source: VolumeSource?
  /// Whole seconds.
  public var createdAt: Date
  /// The volume is to go. Never taken back.
  public var deleting: Bool
  /// Keys of node labels: replicas go to nodes with different values of the first, then of the second, as far as there are any.
  public var spread: [String]?
  /// Labels that a node must have to get a replica.
  public var affinity: [String: String]?
  /// Volumes of one group, as those of a StatefulSet, go to different nodes as far as there are any.
  public var group: String?
  /// What `preferredNode` means. Absent for nothing.
  public var locality: Locality?
  /// Where the volume is used: a replica and the nexus shall be there.
  public var preferredNode: String?

  public enum Locality: String, Codable, Sendable, CaseIterable {
    case none
    /// If it is possible now.
    case prefer
    /// Else the volume waits.
    case strict
  }
  /// Absent for a volume that was not asked for by CSI.
  public var csi: CSIVolume?
  // What its nexus is told while it runs (`VolumeOrders`); absent for nothing said.
  public var rebuild: RebuildPolicy?
  public var slowReplicas: SlowReplicaPolicy?
  public var scrub: ScrubRequest?
  public var force: ForceRequest?
  public var discarded: [DiscardRequest]?
  /// The hosts that may use it; absent while any host may.
  public var publications: [Publication]?
  /// The node that shall take over serving it as soon as it can; then, or when it can never, the wish is taken back. Absent for none.
  public var preferredNexus: String?

  public init(
    id: VolumeID = VolumeID(), name: String, sizeBytes: UInt64, replicaCount: Int, blockSizeBytes: UInt32 = 512, minInSync: Int? = nil,
    isThick: Bool = false, source: VolumeSource? = nil, createdAt: Date, deleting: Bool = false, publications: [Publication]? = nil
  ) {
    self.publications = publications
    self.id = id
    self.name = name
    self.sizeBytes = sizeBytes
    self.replicaCount = replicaCount
    self.blockSizeBytes = blockSizeBytes
    self.minInSync = minInSync
    thick = isThick ? true : nil
    self.source = source
    self.createdAt = Date(timeIntervalSince1970: createdAt.timeIntervalSince1970.rounded(.down))
    self.deleting = deleting
  }

  /// Whether its replicas take all their space when they are made.
  public var isThick: Bool { thick ?? false }

  /// `minInSync`, or its default.
  public var effectiveMinInSync: Int { minInSync ?? Self.defaultMinInSync(replicaCount: replicaCount) }

  /// 2 of 3, else 1 (R1).
  public static func defaultMinInSync(replicaCount: Int) -> Int { replicaCount >= 3 ? 2 : 1 }

  /// Throws unless every field may be asked for.
  public func validate() throws(ObjectError) {
    try Names.validate(name, kind: "volume name")
    let what = "volume \(name)"
    if sizeBytes < Self.sizeStepBytes || sizeBytes > Self.maximumSizeBytes {
      throw .invalid(what: what, reason: "its size is \(ByteText.of(sizeBytes)); it must be 1 MiB to 64 TiB")
    }
    if sizeBytes % Self.sizeStepBytes != 0 {
      throw .invalid(what: what, reason: "its size of \(sizeBytes) bytes is not a multiple of 1 MiB")
    }
    if !(1...Self.maximumReplicaCount).contains(replicaCount) {
      throw .invalid(what: what, reason: "\(replicaCount) replicas were asked for; 1 to \(Self.maximumReplicaCount) are possible")
    }
    if source != nil, isThick {
      throw .invalid(what: what, reason: "it shares the space of a snapshot, and so it cannot take all of its own")
    }
    if blockSizeBytes != 512 && blockSizeBytes != 4096 {
      throw .invalid(what: what, reason: "its block size is \(blockSizeBytes); it must be 512 or 4096")
    }
    try validatePlacement(what)
    if let minInSync, !(1...replicaCount).contains(minInSync) {
      throw .invalid(what: what, reason: "minInSync is \(minInSync); it must be 1 to the number of replicas, \(replicaCount)")
    }
  }

  private func validatePlacement(_ what: String) throws(ObjectError) {
    if let group { try Names.validate(group, kind: "group name") }
    try Labels.validate(affinity ?? [:])
    for key in spread ?? [] { try Labels.validate(key: key) }
    if spread?.count ?? 0 > Labels.maximumCount { throw .invalid(what: what, reason: "it is to be spread over too many labels") }
    if let preferredNode { try Names.validate(node: preferredNode) }
    if locality == .strict && preferredNode == nil {
      throw .invalid(what: what, reason: "strict locality needs a node that is preferred")
    }
  }
}

/// Byte counts for people.
enum ByteText {
  /// In the largest binary unit that leaves at least 1, with up to one decimal: "12 MiB", "1.5 GiB".
  static func of(_ bytes: UInt64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    var unit = 0
    while unit + 1 < units.count && bytes >> (10 * UInt64(unit + 1)) != 0 { unit += 1 }
    let tenths = (Double(bytes) / Double(1 << (10 * UInt64(unit))) * 10).rounded(.down)
    let whole = UInt64(tenths) / 10
    let tenth = UInt64(tenths) % 10
    return tenth == 0 ? "\(whole) \(units[unit])" : "\(whole).\(tenth) \(units[unit])"
  }
}
