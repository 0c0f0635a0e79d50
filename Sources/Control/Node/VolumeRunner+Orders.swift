import Foundation
import Nexus
import Pool

/// What the assignment says while the nexus runs.
extension VolumeRunner {
  /// Which replicas are assigned from now on. From any thread.
  func note(_ changed: NexusAssignment) { uses.withLock { $0.assigned = Set(changed.replicas.map(\.id)) } }

  /// The assignment has changed. On `queue`.
  func follow(_ changed: NexusAssignment) {
    guard changed != assignment else { return }
    assignment = changed
    past.assignment = changed
    applyOrders()
    followForce()
    followReplicas()
    followScrub()
    publishReport()
  }

  /// Tells the nexus what holds from now on.
  func applyOrders() {
    guard let serving else { return }
    let orders = assignment.orders
    let rebuild = orders?.rebuild ?? RebuildPolicy()
    let slow: NexusConfiguration.SlowReplicas = orders?.slowReplicas == .drop ? .drop : .report
    let nexus = serving.nexus
    serving.reactor.call { _ in
      nexus.value.slowReplicas = slow
      if nexus.value.throttle.bytesPerSecond != rebuild.bytesPerSecond ?? 0 {
        nexus.value.throttle = RebuildThrottle(bytesPerSecond: rebuild.bytesPerSecond ?? 0)
      }
      if rebuild.isPaused { nexus.value.pauseRebuilds() } else { nexus.value.resumeRebuilds() }
    }
  }
}
