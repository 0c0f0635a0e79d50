/// What people want of a pool. At `spec/pool/<node>/<name>`; absent for a pool of which nobody wants anything particular.
public struct PoolSpec: StoredObject {
  public static let kind = "pool spec"

  public var node: String
  public var name: String
  /// How many replicas it may hold; nil for any number.
  public var maximumReplicas: Int?

  public init(node: String, name: String, maximumReplicas: Int? = nil) {
    self.node = node
    self.name = name
    self.maximumReplicas = maximumReplicas
  }
}
