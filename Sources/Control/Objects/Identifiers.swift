import Foundation

/// A kind of thing that a UUID names. Each kind has its own identifier type, so that a replica's never stands where a volume's should.
public protocol Identified: Sendable {}

/// A UUID that names one kind of thing; written in lower case everywhere.
public struct Identifier<Kind: Identified>: Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
  public let uuid: UUID

  public init(uuid: UUID = UUID()) { self.uuid = uuid }

  /// Nil unless `text` is a UUID in its usual form, in either case.
  public init?(_ text: String) {
    guard let uuid = UUID(uuidString: text) else { return nil }
    self.uuid = uuid
  }

  public init(from decoder: any Decoder) throws {
    uuid = try decoder.singleValueContainer().decode(UUID.self)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }

  public var description: String { uuid.uuidString.lowercased() }

  public static func < (first: Self, second: Self) -> Bool { first.description < second.description }
}

public enum VolumeKind: Identified {}
public enum ReplicaKind: Identified {}
public enum SnapshotKind: Identified {}

public typealias VolumeID = Identifier<VolumeKind>
public typealias ReplicaID = Identifier<ReplicaKind>
public typealias SnapshotID = Identifier<SnapshotKind>

/// NVMe qualified names (NVM Express Base Specification 2.0, 4.5).
public enum NQN {
  private static let authority = "nqn.2026-11.io.keelson"

  /// The subsystem that hosts connect to for a volume; the same on every path.
  public static func volume(_ id: VolumeID) -> String { "\(authority):volume:\(id)" }

  /// The subsystem of one replica, for its nexus alone.
  public static func replica(_ id: ReplicaID) -> String { "\(authority):replica:\(id)" }

  /// The host name under which a node looks after its peers. A name too long for one (4.5: 223 bytes) is cut, and told from others by a sum of all of it.
  public static func node(_ name: String) -> String {
    let whole = "\(authority):node:\(name)"
    if whole.utf8.count <= maximumBytes { return whole }
    // FNV-1a.
    let sum = name.utf8.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    let hex = String(sum, radix: 16)
    return whole.prefix(maximumBytes - 17) + "-" + String(repeating: "0", count: 16 - hex.count) + hex
  }

  private static let maximumBytes = 223

  /// The host name under which a volume's nexus connects to its replicas.
  public static func nexus(_ id: VolumeID) -> String { "\(authority):nexus:\(id)" }
}
