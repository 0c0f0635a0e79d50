import Nexus
import Pool

/// An operator at work: has snapshots taken and deleted, and the volume made larger, whatever else is going on.
final class SnapshotOrders {
  private let cluster: Cluster
  private let plan: SimulationPlan
  private var remaining: Int
  private(set) var taken = 0
  var isWorking = true

  init(cluster: Cluster, plan: SimulationPlan) {
    self.cluster = cluster
    self.plan = plan
    remaining = plan.orderCount
  }

  private var world: World { cluster.world }

  func work() {
    guard remaining > 0 else { return }
    world.after(1 + world.generator.next() % (2 * plan.orderIntervalNanoseconds)) { [self] in
      guard isWorking else { return }
      remaining -= 1
      order()
      work()
    }
  }

  private func order() {
    guard let run = cluster.latest, !run.isOver, run.process.isRunning, !run.server.isFenced else { return }
    let drawn = world.generator.below(100)
    let requests = cluster.store.record.snapshots.filter { $0.state == .ready }.map(\.request)
    if drawn < 25, !requests.isEmpty {
      let request = requests[world.generator.below(requests.count)]
      return run.process.enqueue { run.server.deleteSnapshots(request: request) }
    }
    if drawn >= 80 {
      let step = UInt64(1 + world.generator.below(8)) * 4096
      let size = min(cluster.store.record.sizeBytes + step, 2 * plan.cluster.sizeBytes)
      return run.process.enqueue { [world] in
        run.server.grow(toSizeBytes: size) { why in world.note(.host, Int(size), 1) { "growth to \(size): \(why ?? "done")" } }
      }
    }
    let (id, request) = (Identifier.random(using: &world.generator), Identifier.random(using: &world.generator))
    run.process.enqueue { [self] in
      world.note(.host, 0, 2) { "snapshot \(id) is asked for" }
      run.server.takeSnapshot(id, request: request) { [self] why in
        if why == nil { taken += 1 }
        world.note(.host, taken, 3) { "snapshot \(id): \(why ?? "ready")" }
      }
    }
  }
}
