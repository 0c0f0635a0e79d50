import Foundation
import Nexus

/// The rebuilds of a volume, over the lives of its nexuses.
struct RebuildHistory {
  /// Where its replicas are.
  var assignment: NexusAssignment
  /// Of nexuses that are gone.
  private var past: [RebuildStatus] = []
  /// Of the one at work.
  private var current: [RebuildStatus] = []
  /// What moments of its clock are called, so that they are always called the same. Looked up only.
  private var dates: [UInt64: Date] = [:]

  init(_ assignment: NexusAssignment) { self.assignment = assignment }

  /// The oldest first.
  var all: [RebuildStatus] { (past + current).suffix(NexusStatus.maximumRebuilds) }

  /// What was told before. What was under way is not any more.
  mutating func adopt(_ old: [RebuildStatus]) {
    past = old.map { rebuild in
      guard !rebuild.isOver else { return rebuild }
      var ended = rebuild
      ended.state = .failed
      ended.failure = "its nexus ended"
      return ended
    }
  }

  /// The nexus is gone.
  mutating func close() {
    adopt(all)
    current = []
    dates = [:]
  }

  mutating func note(_ report: NexusReport) { current = report.rebuilds.compactMap { status($0, report) } }

  private mutating func date(_ nanoseconds: UInt64, _ report: NexusReport) -> Date {
    if let date = dates[nanoseconds] { return date }
    let date = Date(timeIntervalSinceNow: -Double(report.nowNanoseconds - min(nanoseconds, report.nowNanoseconds)) / 1e9)
    dates[nanoseconds] = date
    return date
  }

  private mutating func status(_ rebuild: Rebuild, _ report: NexusReport) -> RebuildStatus? {
    guard let replica = ReplicaID(rebuild.replica.description) else { return nil }
    let state: RebuildStatus.State
    var failure: String?
    switch rebuild.state {
    case .running: state = .running
    case .paused: state = .paused
    case .done: state = .done
    case .failed(let reason):
      state = .failed
      failure = reason
    }
    let kind: RebuildStatus.Kind =
      switch rebuild.kind {
      case .recorded: .recorded
      case .compared: .compared
      case .full: .full
      }
    var ended: Date?
    if let nanoseconds = rebuild.endedNanoseconds { ended = date(nanoseconds, report) }
    return RebuildStatus(
      replica: replica, node: assignment.node(of: replica) ?? "?", kind: kind, state: state, cause: rebuild.cause, failure: failure,
      bytesToDo: rebuild.bytesToDo, bytesDone: rebuild.bytesDone, bytesRead: rebuild.bytesRead, bytesSent: rebuild.bytesSent,
      bytesPerSecond: rebuild.bytesPerSecond(now: report.nowNanoseconds), startedAt: date(rebuild.beganNanoseconds, report),
      endedAt: ended)
  }
}
