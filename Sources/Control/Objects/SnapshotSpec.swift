import Foundation

/// A snapshot that a user asked for: the data of a volume at one moment. At `spec/snapshot/<name>`.
///
/// What became of it is in the volume's `InSyncRecord`. Deleting it: `deleting` is set, the nexus deletes it on all replicas, and the
/// controller then removes this object.
public struct SnapshotSpec: StoredObject {
  public static let kind = "snapshot spec"
  /// Of one volume, those included that are on their way out.
  public static let maximumPerVolume = 64

  public var id: SnapshotID
  public var name: String
  public var volumeID: VolumeID
  public var volumeName: String
  /// When it was asked for, in whole seconds.
  public var createdAt: Date
  /// It is to go. Never taken back.
  public var deleting: Bool
  /// It was made only so that this volume can be cloned from another, and goes when that is done. Absent for those that users made.
  public var cloneID: VolumeID?

  public init(
    id: SnapshotID = SnapshotID(), name: String, volumeID: VolumeID, volumeName: String, createdAt: Date, deleting: Bool = false,
    cloneID: VolumeID? = nil
  ) {
    self.id = id
    self.name = name
    self.volumeID = volumeID
    self.volumeName = volumeName
    self.createdAt = Date(timeIntervalSince1970: createdAt.timeIntervalSince1970.rounded(.down))
    self.deleting = deleting
    self.cloneID = cloneID
  }

  /// Throws unless every field may be asked for.
  public func validate() throws(ObjectError) {
    try Names.validate(name, kind: "snapshot name")
    try Names.validate(volumeName, kind: "volume name")
  }
}

/// What a volume's data begin as: a snapshot of another volume.
public struct VolumeSource: Codable, Equatable, Sendable {
  public var snapshotID: SnapshotID
  public var snapshotName: String
  /// Whose snapshot it is.
  public var volumeID: VolumeID
  public var volumeName: String
  /// The volume itself was named as the source, and the snapshot is made for this clone only. Absent for no.
  public var isVolume: Bool?

  public init(_ snapshot: SnapshotSpec) {
    snapshotID = snapshot.id
    snapshotName = snapshot.name
    volumeID = snapshot.volumeID
    volumeName = snapshot.volumeName
    isVolume = snapshot.cloneID == nil ? nil : true
  }
}
