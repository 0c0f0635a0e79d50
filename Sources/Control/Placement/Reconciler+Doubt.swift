/// That the store went back in time (R18), which one node knows and all have to act by.
extension Reconciler {
  /// Says it for all, or takes it back when it was confirmed; nil when what is said is right. While it is said no nexus begins: its claim compares that
  /// it is not.
  static func stateDoubt(_ state: ClusterState) -> Step? {
    let key = Keys.storeDoubt(of: Keys.controllerName)
    if let (node, doubt) = state.doubtForAll {
      if state.statedDoubt != nil { return nil }
      let message = "the state store went back in time, as \(node) says: \(doubt.message)"
      return Step(
        transaction: StoreTransaction(
          compares: [.absent(key: key)],
          operations: [.put(key: key, value: StoreDoubt(message: message, revision: doubt.revision).encoded())]),
        reason: message,
        notices: [Notice(kind: .controller, object: Keys.controllerName, reason: "StoreBehind", message: message, isWarning: true)])
    }
    guard state.statedDoubt != nil, let revision = state.revisions[key] else { return nil }
    return Step(
      transaction: StoreTransaction(compares: [.modRevision(key: key, equals: revision)], operations: [.delete(key: key)]),
      reason: "the state store was confirmed",
      notices: [Notice(kind: .controller, object: Keys.controllerName, reason: "StoreConfirmed", message: "the state store was confirmed")])
  }
}
