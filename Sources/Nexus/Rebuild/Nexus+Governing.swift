import Reactor

/// How copies give way to the commands of hosts.
extension Nexus {
  /// Hosts wait for what is being reconciled: that goes first, at full speed. All else is governed.
  func isGoverned(_ job: RegionCopier.Job) -> Bool { job.purpose != .reconciliation }

  /// When so many bytes may be copied by the limits of bandwidth, the volume's and the node's.
  func copyDue(_ count: UInt64, for job: RegionCopier.Job) -> UInt64 {
    reactor.now + (isGoverned(job) ? bandwidthDelay(count) : 0)
  }

  func bandwidthDelay(_ count: UInt64) -> UInt64 {
    max(throttle.delay(count, now: reactor.now), budget.delay(count, now: reactor.now))
  }

  /// Tells the governor of a command's latency, unless it waited for something other than disks and copies.
  func noteLatency(_ slot: Int) {
    let arrival = slots[slot].arrivalNanoseconds
    guard arrival >= serviceBeganNanoseconds, reconciliation.isDone, !slots[slot].isRepair else { return }
    switch slots[slot].request.operation {
    case .read: budget.governor.record(.read, arrival: arrival, now: reactor.now)
    case .write: budget.governor.record(.write, arrival: arrival, now: reactor.now)
    case .flush, .writeZeroes, .deallocate: break
    }
  }
}
