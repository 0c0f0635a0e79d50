import Pool
import Reactor

/// Read leases (R3b): a read is answered only while every member's lease runs, looked at after its data came. So another nexus,
/// whose claim waits for the leases, has acknowledged nothing by then that the read should show.
///
/// Leases are renewed while there are reads, at half of their time; an idle volume asks for nothing, and its first read waits for
/// one answer.
extension Nexus {
  /// The clock of leases, read now: a process may have been stopped since its pass began.
  var leaseNow: UInt64 { if let leaseClock { leaseClock() } else { Clock.bootNanoseconds() } }

  /// Counted from when the question was sent, and shorter than the replica counts by what clocks may differ.
  static func leaseEnd(_ sentAt: UInt64, _ nanoseconds: UInt64) -> UInt64 { sentAt &+ nanoseconds - nanoseconds / 32 }

  /// A member on its way out counts until it is known to be out: until then its lease is what keeps another nexus away.
  func computeLeases() {
    if activeMask == 0 {
      // Reads that come back now are done anew when there is service.
      (leaseEndNanoseconds, leaseRenewNanoseconds) = (0, 0)
      return
    }
    if plantedErrors.contains(.readsWithoutLease) {
      (leaseEndNanoseconds, leaseRenewNanoseconds) = (.max, .max)
      return
    }
    var end = UInt64.max
    var shortest = UInt64.max
    for index in replicas.indices where setMask & Self.bit(index) != 0 {
      end = min(end, replicas[index].leaseEndNanoseconds)
      shortest = min(shortest, replicas[index].claimed?.leaseNanoseconds ?? 0)
    }
    leaseEndNanoseconds = end
    leaseRenewNanoseconds = end - min(end, shortest / 2)
  }

  /// Whether a read whose data came now would be answered.
  public var mayAnswerReads: Bool { activeMask != 0 && leaseNow < leaseEndNanoseconds }

  /// The data of a read are in its buffer.
  @inline(__always)
  func answerRead(_ slot: Int) {
    let now = leaseNow
    if now < leaseRenewNanoseconds {
      finishRead(slot)
    } else {
      answerLateRead(slot, now)
    }
  }

  @inline(__always)
  private func finishRead(_ slot: Int) {
    if slots[slot].failedMask != 0 { repair(slot) }
    finish(slot, .success)
  }

  private func answerLateRead(_ slot: Int, _ now: UInt64) {
    if now < leaseEndNanoseconds {
      renewLeases()
      finishRead(slot)
    } else if activeMask == 0 {
      awaitService(slot)
    } else {
      awaitingLease.append(slot)
      watchPatience()
      renewLeases()
    }
  }

  private static let renewalRetryNanoseconds: UInt64 = 50_000_000

  func renewLeases() {
    for index in replicas.indices
    where setMask & ~leavingMask & Self.bit(index) != 0 && replicas[index].claimed != nil && !replicas[index].isRenewing {
      replicas[index].isRenewing = true
      let session = replicas[index].session
      let sentAt = leaseNow
      ask(index, .renewLease) { [self] result in
        guard replicas[index].session == session, !isOver else { return }
        replicas[index].isRenewing = false
        switch result {
        case .success(.leased(let nanoseconds)):
          let end = Self.leaseEnd(sentAt, nanoseconds)
          replicas[index].leaseEndNanoseconds = max(replicas[index].leaseEndNanoseconds, end)
          computeLeases()
          releaseHeldReads()
        case .success: fault(index, .refused, .flush)
        case .failure(let refusal): fault(index, refusal)
        }
      }
    }
  }

  /// Answers the reads that were held for a lease, if it runs again.
  func releaseHeldReads() {
    if awaitingLease.isEmpty { return }
    if leaseNow < leaseEndNanoseconds {
      let held = awaitingLease
      awaitingLease = []
      for slot in held { finishRead(slot) }
    } else if !isRenewalDue {
      isRenewalDue = true
      after(nanoseconds: Self.renewalRetryNanoseconds) { [self] in
        isRenewalDue = false
        if !awaitingLease.isEmpty { renewLeases() }
      }
    }
  }
}
