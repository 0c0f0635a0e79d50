/// What the command line asks of the store about nodes. Each is one transaction; the controller does the rest.
public enum NodeRequests {
  public enum Failure: Error, Equatable, Sendable, CustomStringConvertible {
    case notFound(name: String)
    case poolNotFound(node: String, name: String)
    /// Others changed it again and again meanwhile.
    case contended(name: String)

    public var description: String {
      switch self {
      case .notFound(let name): "there is no node \(name)"
      case .poolNotFound(let node, let name): "node \(node) has no pool \(name)"
      case .contended(let name): "node \(name) keeps being changed by others; try again"
      }
    }
  }

  /// Changes what is wanted of a node that runs, has left traces, or has a specification. Throws `Failure`, `ObjectError`, or a store error.
  @discardableResult
  public static func update(name: String, in store: any StateStore, _ change: (inout NodeSpec) -> Void) throws -> NodeSpec {
    try Names.validate(node: name)
    let key = Keys.nodeSpec(name)
    for _ in 0..<100 {
      let stored = try store.object(NodeSpec.self, at: key)
      if stored == nil, try store.list(prefix: Keys.statuses(node: name), after: nil, limit: 1).entries.isEmpty {
        throw Failure.notFound(name: name)
      }
      var spec = stored?.object ?? NodeSpec(name: name)
      change(&spec)
      try Labels.validate(spec.labels)
      if spec == stored?.object { return spec }
      var transaction = StoreTransaction(compares: [.absent(key: key)], operations: [.put(key: key, value: spec.encoded())])
      if var stored {
        transaction.compares = [stored.isUnchanged]
        stored.object = spec
        transaction.operations = [stored.replacement]
      }
      if try store.transact(transaction).committedRevision != nil { return spec }
    }
    throw Failure.contended(name: name)
  }

  /// Says how many replicas a pool of a node may hold; nil for any number. Throws `Failure`, `ObjectError`, or a store error.
  @discardableResult
  public static func limitReplicas(_ count: Int?, node: String, pool: String, in store: any StateStore) throws -> PoolSpec {
    try Names.validate(node: node)
    try Names.validate(pool, kind: "pool name")
    if try store.get(Keys.poolStatus(node: node, pool)) == nil { throw Failure.poolNotFound(node: node, name: pool) }
    let key = Keys.poolSpec(node: node, pool)
    for _ in 0..<100 {
      var stored = try store.object(PoolSpec.self, at: key)
      var transaction = StoreTransaction(operations: [])
      if stored != nil {
        stored!.object.maximumReplicas = count
        transaction = StoreTransaction(compares: [stored!.isUnchanged], operations: [stored!.replacement])
      } else {
        let spec = PoolSpec(node: node, name: pool, maximumReplicas: count)
        transaction = StoreTransaction(compares: [.absent(key: key)], operations: [.put(key: key, value: spec.encoded())])
      }
      if try store.transact(transaction).committedRevision != nil {
        return stored?.object ?? PoolSpec(node: node, name: pool, maximumReplicas: count)
      }
    }
    throw Failure.contended(name: node)
  }
}
