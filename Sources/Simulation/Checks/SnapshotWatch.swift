import Nexus
import Pool

/// Watches the snapshots of the volume (R15): when the store calls one ready, every member has it, with the same content; that is what the
/// volume was at one moment while it was taken; at rest every replica has it, and nobody has one that is gone.
final class SnapshotWatch {
  private unowned let cluster: Cluster
  /// When the first and the last replica took it, in the history's order.
  private var moments: [Identifier: ClosedRange<Int>] = [:]
  private var ready: Set<Identifier> = []
  /// Pools were replaced by old copies, which bring back what is forgotten.
  var mayHaveRelics = false

  init(cluster: Cluster) { self.cluster = cluster }

  private var world: World { cluster.world }

  func taken(_ id: Identifier) {
    if ready.contains(id) { return }
    let now = cluster.history.moment()
    moments[id] = (moments[id]?.lowerBound ?? now)...now
  }

  /// The store has another record.
  func look(at record: StoreRecord) {
    for snapshot in record.snapshots where snapshot.state == .ready && !ready.contains(snapshot.id) {
      ready.insert(snapshot.id)
      guard let content = check(snapshot, on: cluster.memberNodes) else { return }
      guard let moment = moments[snapshot.id] else { return world.fail("snapshot \(snapshot.id) is ready, and nobody has taken it (R15)") }
      cluster.history.saw(content, generation: record.generation, between: moment)
    }
  }

  /// Its content, the same on all of these nodes.
  private func check(_ snapshot: VolumeSnapshot, on nodes: [Cluster.Node]) -> [UInt64]? {
    var first: (node: Int, content: [UInt64])?
    for node in nodes where !node.disk.isRolledBack {
      guard let held = node.disk.snapshots.first(where: { $0.id == snapshot.id }) else {
        world.fail("snapshot \(snapshot.id) is ready, and node \(node.index) of the set does not have it (R15)")
        return nil
      }
      guard held.content.count * Stamp.sectorBytes == Int(snapshot.sizeBytes) else {
        world.fail("snapshot \(snapshot.id) of \(snapshot.sizeBytes) bytes has \(held.content.count) sectors on node \(node.index)")
        return nil
      }
      if let first, let sector = held.content.indices.first(where: { held.content[$0] != first.content[$0] }) {
        world.fail(
          "sector \(sector) of snapshot \(snapshot.id) is \(Stamp.describe(first.content[sector])) on node \(first.node) and "
            + "\(Stamp.describe(held.content[sector])) on node \(node.index) (R15)")
        return nil
      }
      first = first ?? (node.index, held.content)
    }
    return first?.content
  }

  func checkAtRest() {
    let record = cluster.store.record
    for snapshot in record.snapshots {
      if snapshot.state != .ready { return world.fail("at rest, snapshot \(snapshot.id) is \(snapshot.state)") }
      _ = check(snapshot, on: cluster.nodes.filter { !$0.isSpare })
    }
    if mayHaveRelics { return }
    for node in cluster.nodes where !node.isSpare {
      if let relic = node.disk.snapshots.first(where: { held in !record.snapshots.contains { $0.id == held.id } }) {
        world.fail("at rest, node \(node.index) has snapshot \(relic.id), which is gone")
      }
    }
  }
}
