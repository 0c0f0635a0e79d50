/// Where objects lie in the store. Keys are laid out by writer: `spec/` the command line and the controller, `assign/<node>/` the
/// controller, `status/<node>/` that node, `insync/` the volume's nexus, `lease/` whoever holds it, `event/<source>/` whoever saw it.
///
/// Names have passed `Names.validate` before they become part of a key.
public enum Keys {
  public static let volumeSpecs = "spec/volume/"
  public static let snapshotSpecs = "spec/snapshot/"
  public static let nodeSpecs = "spec/node/"
  public static let poolSpecs = "spec/pool/"
  public static let assignments = "assign/"
  public static let statuses = "status/"
  public static let inSyncRecords = "insync/"
  public static let events = "event/"
  public static let storeTrust = "spec/trust"
  public static let controllerLease = "lease/controller"
  /// Which node has which NVMe controller ids, for good. Not below the prefix of the controller's lease, which is waited for as one.
  public static let controllerIdentifiers = "lease/nvme-ids/"
  /// The controller writes what it has to say under its own name; no node may be called so.
  public static let controllerName = "controller"

  public static func volumeSpec(name: String) -> String { volumeSpecs + name }
  public static func snapshotSpec(name: String) -> String { snapshotSpecs + name }
  public static func nodeSpec(_ node: String) -> String { nodeSpecs + node }
  public static func poolSpec(node: String, _ pool: String) -> String { poolSpecs + "\(node)/\(pool)" }

  /// All a node has to watch.
  public static func assignments(node: String) -> String { "assign/\(node)/" }
  public static func replicaAssignments(node: String) -> String { "assign/\(node)/replica/" }
  public static func replicaAssignment(node: String, _ id: ReplicaID) -> String { "assign/\(node)/replica/\(id)" }
  public static func nexusAssignments(node: String) -> String { "assign/\(node)/nexus/" }
  public static func nexusAssignment(node: String, _ volume: VolumeID) -> String { "assign/\(node)/nexus/\(volume)" }

  public static func pathAssignments(node: String) -> String { "assign/\(node)/path/" }
  public static func pathAssignment(node: String, _ volume: VolumeID) -> String { "assign/\(node)/path/\(volume)" }

  public static func statuses(node: String) -> String { "status/\(node)/" }
  public static func nodeStatus(_ node: String) -> String { "status/\(node)/node" }
  public static func poolStatus(node: String, _ pool: String) -> String { "status/\(node)/pool/\(pool)" }
  public static func replicaStatus(node: String, _ id: ReplicaID) -> String { "status/\(node)/replica/\(id)" }
  public static func nexusStatus(node: String, _ volume: VolumeID) -> String { "status/\(node)/nexus/\(volume)" }
  public static func nodeNote(_ node: String) -> String { "status/\(controllerName)/node/\(node)" }
  public static func pathStatus(node: String, _ volume: VolumeID) -> String { "status/\(node)/path/\(volume)" }
  public static func pathStatuses(node: String) -> String { "status/\(node)/path/" }
  public static func peerStatus(node: String) -> String { "status/\(node)/peers" }
  public static func foundReplicas(node: String) -> String { "status/\(node)/found/" }
  public static func foundReplica(node: String, _ id: ReplicaID) -> String { "status/\(node)/found/\(id)" }
  /// Why a node, or the controller for all of them, takes the store for one that went back in time.
  public static func storeDoubt(of who: String) -> String { "status/\(who)/doubt" }
  public static func volumeNote(name: String) -> String { "status/\(controllerName)/volume/\(name)" }

  public static func events(source: String) -> String { "event/\(source)/" }

  public static func inSync(_ volume: VolumeID) -> String { inSyncRecords + "\(volume)" }
}
