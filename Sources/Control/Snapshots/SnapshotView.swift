import Foundation

/// A snapshot as `keelson snapshot list` prints it: the specification, and what the volume's nexus says.
public struct SnapshotView: Encodable, Equatable, Sendable {
  public enum State: String, Encodable, Sendable {
    /// Nothing is done about it yet, or what was tried has to be tried again.
    case pending
    case preparing
    case ready
    case deleting
  }

  public var name: String
  public var id: SnapshotID
  public var volume: String
  public var volumeID: VolumeID
  public var state: State
  /// Of the volume when it was taken; nil until it is.
  public var size: UInt64?
  /// When it was asked for.
  public var createdAt: Date
  /// When it was ready.
  public var takenAt: Date?
  /// Made only to clone a volume. Nobody need see it.
  public var isHidden: Bool
  /// Why it does not get on, if somebody knows.
  public var message: String?

  public init(_ spec: SnapshotSpec, in cluster: ClusterState) {
    name = spec.name
    id = spec.id
    volume = spec.volumeName
    volumeID = spec.volumeID
    createdAt = spec.createdAt
    isHidden = spec.cloneID != nil
    let entries = cluster.inSync(spec.volumeID)?.object.snapshots.filter { $0.id == spec.id } ?? []
    let entry = entries.first { $0.state == .ready } ?? entries.first { $0.state == .preparing }
    size = entry?.sizeBytes
    takenAt = entry?.takenAt
    if spec.deleting {
      state = .deleting
    } else {
      state = entry.map { $0.state == .ready ? .ready : .preparing } ?? .pending
    }
    if state != .ready, let nexus = cluster.nexusAssignments(of: spec.volumeID).first {
      let status = cluster.nexusStatus(node: nexus.node, spec.volumeID)
      message = status?.snapshotTroubles.first { $0.id == spec.id }?.message
      if message == nil, status?.state == .blocked { message = "volume \(volume) is not served" }
      if cluster.node(nexus.node) == nil { message = "\(nexus.node), which serves volume \(volume), is not running" }
    }
  }

  /// All snapshots, by name.
  public static func all(in cluster: ClusterState) -> [SnapshotView] { cluster.snapshots.map { SnapshotView($0.object, in: cluster) } }
}
