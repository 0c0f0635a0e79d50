import Pool
import Reactor

/// Replicas that lost their data, or are an old copy of themselves: their pool was replaced, or restored from a backup (R3).
///
/// Their gates refuse to be claimed from the generation that they are known to have accepted, storing nothing. A member like that is
/// as if unreached, and leaves when the rest suffices; what it missed is everything. It is claimed without a floor only as an
/// absent one, when the members hold that record: whatever crashes in between leaves the refusal or the record.
extension Nexus {
  func rolledBack(_ index: Int, to generation: UInt64) {
    let bit = Self.bit(index)
    rolledBackMask |= bit
    let reason =
      generation == 0
      ? "its data are gone: it has accepted generation \(replicas[index].floorGeneration) and holds none"
      : "it is an old copy: it has accepted generation \(replicas[index].floorGeneration) and holds \(generation)"
    guard setMask & bit == 0, phase == .prepared, healthyMask != 0, membershipStep == nil, leavingMask == 0 else {
      return claimFailed(index, reason, after: Self.retryClaimNanoseconds)
    }
    replicas[index].reason = reason
    recordEverything(index)
  }

  /// Members take the whole volume into their record of the replica, and then it may be claimed as it is.
  private func recordEverything(_ index: Int) {
    let epoch = serviceEpoch
    let session = replicas[index].session
    let name = RegionSetName.missed(peer: replicas[index].id)
    let asked = logMask
    replicas[index].isClaiming = true
    askAll(asked) { _ in
      questions(name, Array(0..<log.regionCount), isMember: true)
    } then: { [self] in
      guard replicas[index].session == session else { return }
      replicas[index].isClaiming = false
      guard serviceEpoch == epoch, healthyMask & ~asked == 0, setMask & Self.bit(index) == 0 else {
        return claimFailed(index, replicas[index].reason, after: Self.retryClaimNanoseconds)
      }
      recordedMask |= Self.bit(index)
      replicas[index].floorGeneration = 0
      claimReplica(index)
    }
  }
}
