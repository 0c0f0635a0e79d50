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

  /// The host name under which a node looks after its peers.
  public static func node(_ name: String) -> String { "\(authority):node:\(name)" }

  /// The host name under which a volume's nexus connects to its replicas.
  public static func nexus(_ id: VolumeID) -> String { "\(authority):nexus:\(id)" }
}
