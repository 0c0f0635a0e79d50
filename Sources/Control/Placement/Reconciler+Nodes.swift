import Foundation

/// What the controller remembers of nodes: where they stand, and since when they are away.
extension Reconciler {
  static func decide(node: String, _ state: ClusterState, _ surroundings: Surroundings) -> Decision {
    let stored = state.nodeNotesByName[node]
    let key = Keys.nodeNote(node)
    var note = stored?.object ?? NodeNote(topology: nil)
    var notice: Notice?
    if let status = state.node(node) {
      note.topology = status.topology
      if let away = note.awaySince {
        let seconds = Int(max(0, surroundings.now.timeIntervalSince(away)))
        notice = Notice(kind: .node, object: node, reason: "Back", message: "it runs again, after \(seconds) s")
      }
      note.awaySince = nil
      // Of most nodes there is nothing to remember.
      if stored == nil && note.topology == nil { return Decision() }
    } else if isKnown(node, state) {
      if note.awaySince == nil {
        note.awaySince = Date(timeIntervalSince1970: surroundings.now.timeIntervalSince1970.rounded(.down))
        notice = Notice(kind: .node, object: node, reason: "Away", message: "it does not run", isWarning: true)
      }
    } else {
      guard let stored else { return Decision() }
      return Decision(
        Step(
          transaction: StoreTransaction(compares: [stored.isUnchanged], operations: [.delete(key: key)]), reason: "node \(node): forgotten")
      )
    }
    if note == stored?.object { return Decision() }
    if note == NodeNote(topology: nil), let stored {
      let transaction = StoreTransaction(compares: [stored.isUnchanged], operations: [.delete(key: key)])
      return Decision(
        Step(transaction: transaction, reason: "node \(node): \(notice?.message ?? "noted")", notices: notice.map { [$0] } ?? []))
    }
    var transaction = StoreTransaction(compares: [.absent(key: key)], operations: [.put(key: key, value: note.encoded())])
    if var stored {
      transaction.compares = [stored.isUnchanged]
      stored.object = note
      transaction.operations = [stored.replacement]
    }
    return Decision(
      Step(transaction: transaction, reason: "node \(node): \(notice?.message ?? "noted")", notices: notice.map { [$0] } ?? []))
  }

  /// Whether anything is assigned to the node.
  private static func isKnown(_ node: String, _ state: ClusterState) -> Bool {
    !(state.index.assignmentKeysByNode[node] ?? []).isEmpty
  }
}
