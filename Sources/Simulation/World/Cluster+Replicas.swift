import Nexus
import Pool

/// Replicas that become some of the volume, and those that cease to be: what an operator asks for, a controller follows up, and a nexus is
/// told of.
extension Cluster {
  /// The nodes that shall have a replica of the volume.
  var wanted: [Node] { nodes.filter { !$0.isSpare } }

  /// Whether the store has a node's replica in or out of the set.
  func isKnown(_ node: Node) -> Bool {
    store.record.members.contains(node.disk.id) || store.record.absent.contains { $0.id == node.disk.id }
  }

  /// Whether a nexus looks for a node's replica: what is no longer wanted, as long as it is in the set; never what a force left behind.
  func isToBeMet(_ node: Node) -> Bool {
    if store.record.absent.contains(where: { $0.id == node.disk.id && $0.isKept }) { return false }
    return !node.isSpare || store.record.members.contains(node.disk.id)
  }

  /// A replica is taken from the volume: whoever serves it lets go of it, and then the store forgets it.
  func remove(_ index: Int) {
    let node = nodes[index]
    node.isSpare = true
    world.note(.fault, index, 8) { "the replica of node \(index) is taken from the volume" }
    for run in nexuses { run.process.enqueue { run.server.removeReplica(node.disk.id) } }
  }

  /// A node's replica becomes one of the volume while that runs.
  func add(_ index: Int) {
    nodes[index].isSpare = false
    world.note(.fault, index, 9) { "node \(index) gets a replica of the volume" }
    for run in nexuses { run.connect(to: nodes[index]) }
  }

  /// A node goes for good, with its pool: nobody waits for its replica.
  func loseForGood(_ index: Int) {
    killNode(index)
    nodes[index].disk.replace(by: nil)
    nodes[index].isLost = true
    remove(index)
  }

  /// A spare node gets a replica that is new.
  func addNew(_ index: Int) {
    let node = nodes[index]
    if node.disk.claim.generation != 0 { renew(node) }
    startNode(index)
    add(index)
  }

  /// What was on it is deleted.
  private func renew(_ node: Node) {
    killNode(node.index)
    node.disk.becomeNew(.random(using: &world.generator))
    node.isLost = false
    startNode(node.index)
  }

  /// Tells the latest nexus again what it is to let go of, and the store what it has let go of; nodes that are gone with all they had
  /// come back as new ones.
  func followReplicas() {
    let names = wanted.map(\.disk.id)
    if let run = latest, !run.isOver, !run.server.isFenced {
      for id in store.record.members + store.record.absent.map(\.id) where !names.contains(id) {
        run.process.enqueue { [self] in
          run.server.removeReplica(id)
          if run.generation == store.record.generation, !run.server.isFenced, !run.server.knows(id) { store.change { $0.forget(id) } }
        }
      }
    }
    for node in nodes where node.isLost && !isKnown(node) { renew(node) }
  }
}
