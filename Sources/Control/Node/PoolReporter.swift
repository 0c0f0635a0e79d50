import Foundation
import Pool

/// Tells the store what the pools of a node have and how they are, as that changes: a fault within a second, usage less often.
///
/// Used on the agent's queue.
final class PoolReporter {
  static let intervalSeconds = 1.0
  /// Usage changes with every write to new places; nobody needs to know at once.
  private static let usageIntervals = 4

  private let node: NodeContext
  private let pools: [Pool]
  private var ticks = 0
  /// By name; looked up only.
  private var seen: [String: PoolStatus] = [:]

  init(node: NodeContext, pools: [Pool]) {
    self.node = node
    self.pools = pools
  }

  /// Looks at all pools; to be called every `intervalSeconds`.
  func look() {
    ticks += 1
    for pool in pools {
      let status = node.status(of: pool)
      // A closed pool has nothing to say.
      guard status.contents != nil else { continue }
      // Others publish too, when they change a pool: what is logged is what was not seen here.
      let last = seen[pool.name]
      let isUrgent = last.map { $0.state != status.state || $0.message != status.message || $0.errors != status.errors } ?? false
      if isUrgent, let last, let line = Self.line(status, after: last) {
        node.log.write("pool \(pool.name): \(line)")
        node.events.record(
          .pool, "\(node.name).\(pool.name)", status.state == .faulted ? "Faulted" : "DeviceError", line, isWarning: true)
      }
      if !isUrgent && last != nil && ticks % Self.usageIntervals != 0 { continue }
      seen[pool.name] = status
      if node.publishedStatus(ofPool: pool.name) == status { continue }
      node.publish(status)
    }
  }

  private static func line(_ status: PoolStatus, after last: PoolStatus) -> String? {
    if status.state == .faulted && last.state != .faulted { return "it can only be read from now on: \(status.message ?? "no reason")" }
    return status.errors?.last
  }
}
