/// What people want of a node. At `spec/node/<name>`; absent for a node of which nobody wants anything particular.
public struct NodeSpec: StoredObject {
  public static let kind = "node spec"

  public var name: String
  /// Nothing new is placed on it.
  public var isCordoned: Bool
  /// What is on it moves to other nodes; implies that nothing new comes.
  public var isDraining: Bool
  /// In addition to those that the node says of itself, and stronger.
  public var labels: [String: String]

  enum CodingKeys: String, CodingKey {
    case name
    case isCordoned = "cordoned"
    case isDraining = "draining"
    case labels
  }

  public init(name: String, isCordoned: Bool = false, isDraining: Bool = false, labels: [String: String] = [:]) {
    self.name = name
    self.isCordoned = isCordoned
    self.isDraining = isDraining
    self.labels = labels
  }

  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    name = try fields.decode(String.self, forKey: .name)
    isCordoned = try fields.decodeIfPresent(Bool.self, forKey: .isCordoned) ?? false
    isDraining = try fields.decodeIfPresent(Bool.self, forKey: .isDraining) ?? false
    labels = try fields.decodeIfPresent([String: String].self, forKey: .labels) ?? [:]
  }

  /// Whether it says nothing.
  public var isPlain: Bool { !isCordoned && !isDraining && labels.isEmpty }
}
