import Foundation

/// What the controller remembers of a node. At `status/controller/node/<name>`, written when it changes.
public struct NodeNote: StoredObject {
  public static let kind = "node note"

  /// What the node said of where it stands when it last ran. Absent for nothing.
  public var topology: [String: String]?
  /// Since when it does not run, as far as any leading controller has seen. Absent while it runs.
  public var awaySince: Date?

  public init(topology: [String: String]?, awaySince: Date? = nil) {
    self.topology = topology
    self.awaySince = awaySince.map { Date(timeIntervalSince1970: $0.timeIntervalSince1970.rounded(.down)) }
  }
}
