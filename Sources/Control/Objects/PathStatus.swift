/// A standby path as its node serves it. At `status/<node>/path/<volumeID>`, from when hosts can connect until they cannot.
public struct PathStatus: StoredObject {
  public static let kind = "path status"

  public var volumeID: VolumeID
  /// The hosts that it admits; others are out. Absent while it admits any.
  public var hosts: [Publication]?

  public init(volumeID: VolumeID, hosts: [Publication]?) {
    self.volumeID = volumeID
    self.hosts = hosts
  }
}

/// Which peers a node has lost: it had a connection, and gets none any more. At `status/<node>/peers`, written when that changes.
public struct PeerStatus: StoredObject {
  public static let kind = "peer status"

  public struct Lost: Codable, Equatable, Sendable {
    public var node: String
    /// The process that was lost; a later one under the same name is another.
    public var incarnation: String

    public init(node: String, incarnation: String) {
      self.node = node
      self.incarnation = incarnation
    }
  }

  /// The node's own process, so that what an earlier one said is known as such.
  public var incarnation: String
  public var lost: [Lost]

  public init(incarnation: String, lost: [Lost]) {
    self.incarnation = incarnation
    self.lost = lost
  }
}
