import Pool
import Reactor

/// A larger volume (R15): all members first, then the store, then whoever uses it.
///
/// Members may be larger than the store says when a nexus dies in between; nobody sees that. A replica that comes back is made as large
/// as the volume before anything else.
extension Nexus {
  private static let growthStepNanoseconds: UInt64 = 2_000_000

  /// Makes the volume larger, in whole units, and tells when the store knows; `sizeBytes` is the new size then.
  public func grow(volumeToSizeBytes size: UInt64, then done: @escaping (Result<Bool, SnapshotFailure>) -> Void) {
    guard !isOver, size % Self.unitBytes == 0, size >= sizeBytes, growth == nil else {
      return after { done(.failure(SnapshotFailure("the volume cannot grow to \(size) bytes now"))) }
    }
    if size == sizeBytes, plannedRecord.sizeBytes == size { return after { done(.success(true)) } }
    growth = Growth(sizeBytes: size, beganNanoseconds: reactor.now, done: done)
    after { [self] in stepSnapshots() }
  }

  func stepGrowth(_ growth: Growth) {
    switch growth.stage {
    case .waiting:
      guard activeMask != 0 else { return endGrowth(.failure(SnapshotFailure("the volume is not served"))) }
      guard isSetSteady else {
        if reactor.now &- growth.beganNanoseconds > 2 * configuration.pauseNanoseconds {
          return endGrowth(.failure(SnapshotFailure("the volume's replicas did not come to rest")))
        }
        return scheduleSnapshots(Self.growthStepNanoseconds)
      }
      guard log.capacity >= neededLog(regionCount: regionCount(growth.sizeBytes)) else {
        return endGrowth(.failure(SnapshotFailure("its replicas' activity logs are too small for that")))
      }
      growth.stage = .asking
      sendReplicasAway("the volume grows")
      askToGrow(growth)
    case .asking: break
    case .committing:
      if sizeBytes >= growth.sizeBytes { endGrowth(.success(true)) }
    }
  }

  private func askToGrow(_ growth: Growth) {
    let round = GrowingRound()
    for index in replicas.indices where activeMask & Self.bit(index) != 0 {
      if replicas[index].claimed?.sizeBytes ?? 0 >= growth.sizeBytes {
        round.grownMask |= Self.bit(index)
        continue
      }
      round.pending += 1
      ask(index, .grow(toSizeBytes: growth.sizeBytes)) { [self] result in
        round.pending -= 1
        switch result {
        case .success:
          round.grownMask |= Self.bit(index)
          replicas[index].claimed?.sizeBytes = growth.sizeBytes
        case .failure(let refusal): round.refusals.append((index, refusal))
        }
        if round.pending == 0 { grown(growth, round) }
      }
    }
    if round.pending == 0 { after { [self] in grown(growth, round) } }
  }

  private func grown(_ growth: Growth, _ round: GrowingRound) {
    guard self.growth === growth, growth.stage == .asking, !isOver else { return }
    for (index, refusal) in round.refusals where healthyMask & Self.bit(index) != 0 {
      guard refusal == .lost else {
        // Not worth a copy: the volume stays as it is.
        return endGrowth(.failure(SnapshotFailure("replica \(replicas[index].id) cannot grow: \(refusal)")))
      }
      fault(index, refusal)
      if self.growth !== growth { return }
    }
    guard activeMask != 0, setMask & ~leavingMask & ~round.grownMask == 0 else {
      return endGrowth(.failure(SnapshotFailure("not all replicas in sync could grow")))
    }
    growth.stage = .committing
    changeRecord { $0.sizeBytes = max($0.sizeBytes, growth.sizeBytes) }
  }

  func endGrowth(_ result: Result<Bool, SnapshotFailure>) {
    guard let ended = growth else { return }
    growth = nil
    ended.done(result)
    unsafe surroundings.nexusChanged()
    after { [self] in
      beginReturns()
      stepSnapshots()
    }
  }

  /// The store knows of the new size: from now on it is the volume's.
  func growIfCommitted() {
    guard record.sizeBytes > sizeBytes else { return }
    grow(toSizeBytes: record.sizeBytes)
    if hasGeometry {
      log.grow(toRegionCount: regionCount(sizeBytes))
      limitSteps()
    }
    unsafe surroundings.nexusChanged()
  }

  func regionCount(_ sizeBytes: UInt64) -> Int { Int((sizeBytes + (1 << UInt64(regionShift)) - 1) >> UInt64(regionShift)) }

  /// The regions that a log must hold at least: the largest write must fit, with room to spare.
  func neededLog(regionCount: Int) -> Int { min(Int(2 * (Self.maximumTransferBytes >> UInt64(regionShift) + 2)), regionCount) }

  /// A step of a long command must find room in the log. One that holds all regions has room for any.
  func limitSteps() {
    if log.capacity >= log.regionCount { return }
    let stepRegions = UInt64(max(1, log.capacity / 4))
    stepBytes = min(stepBytes, max(Self.unitBytes, (stepRegions << UInt64(regionShift)) & ~(Self.unitBytes - 1)))
  }
}

private final class GrowingRound {
  var pending = 0
  var grownMask: UInt8 = 0
  var refusals: [(index: Int, refusal: ReplicaRefusal)] = []
}
