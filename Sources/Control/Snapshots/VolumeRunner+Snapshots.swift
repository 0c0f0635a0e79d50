import Foundation
import Nexus
import Pool
import Reactor

/// What the nexus was asked to do about snapshots and size, and what became of it. Belongs to the runner's queue.
final class VolumeTending: @unchecked Sendable {
  /// Snapshots that the nexus is taking.
  fileprivate var taking: Set<SnapshotID> = []
  /// Why they were not taken the last time.
  fileprivate var troubles: [SnapshotID: String] = [:]
  /// They are left alone until their time.
  fileprivate var resting: Set<SnapshotID> = []
  /// Those that were ready once: what is taken later would be something else.
  fileprivate var wereReady: Set<SnapshotID> = []
  fileprivate var isGrowing = false
  fileprivate var isGrowthResting = false
  fileprivate var growthTrouble: String?

  /// The nexus is gone, and its answers with it.
  func reset() {
    taking = []
    isGrowing = false
  }
}

/// Has the nexus do what is wanted of snapshots and size (R15), level by level: looks at what is assigned and at what the record says, and
/// begins what is missing. What fails is tried again.
extension VolumeRunner {
  private static let retrySeconds = 2.0

  /// Called when the assignment or the nexus changed.
  func tend() {
    guard let serving, let told, !isStopping else { return }
    path.grow(toSizeBytes: told.sizeBytes)
    guard told.state == .serving else { return }
    tending.wereReady.formUnion(serving.record.claimed.endedSnapshots ?? [])
    tending.wereReady.formUnion(told.snapshots.filter { $0.state == .ready }.map { SnapshotID($0.request) })
    for wanted in assignment.snapshots {
      let entries = told.snapshots.filter { $0.request == PoolIdentifier(wanted.id) }
      if wanted.deleting {
        tending.troubles[wanted.id] = nil
        // Also where there is nothing yet: it may just be begun.
        if !entries.allSatisfy({ $0.state == .deleting }) || tending.taking.contains(wanted.id) {
          let nexus = serving.nexus
          serving.reactor.post { _ in nexus.value.deleteSnapshots(request: PoolIdentifier(wanted.id)) }
        }
      } else if !entries.contains(where: { $0.state == .ready }), tending.wereReady.contains(wanted.id) {
        tending.troubles[wanted.id] = "it was lost when the volume was forced to go on from a replica without it; delete it"
      } else if !entries.contains(where: { $0.state == .ready }), !tending.taking.contains(wanted.id), !tending.resting.contains(wanted.id)
      {
        take(wanted.id, serving)
      }
    }
    let known = Set(assignment.snapshots.map(\.id))
    tending.troubles = tending.troubles.filter { known.contains($0.key) }
    if let size = assignment.wantedSizeBytes, size > told.sizeBytes, !tending.isGrowing, !tending.isGrowthResting {
      grow(to: size, serving)
    }
  }

  /// What status tells of it.
  func describeTending(in status: inout NexusStatus) {
    status.snapshotTroubles = tending.troubles.sorted { $0.key < $1.key }.map { .init(id: $0.key, message: $0.value) }
    status.growthTrouble = tending.growthTrouble
    guard let told else { return }
    status.deletedSnapshots = assignment.snapshots.filter { wanted in
      wanted.deleting && !tending.taking.contains(wanted.id) && !told.snapshots.contains { $0.request == PoolIdentifier(wanted.id) }
    }.map(\.id)
  }

  private func take(_ id: SnapshotID, _ serving: Serving) {
    tending.taking.insert(id)
    let (nexus, generation) = (serving.nexus, serving.record.generation)
    serving.reactor.post { [self] _ in
      nexus.value.takeSnapshot(id: .random(), request: PoolIdentifier(id)) { [self] result in
        let pause = nexus.value.longestPauseNanoseconds
        queue.async { self.took(id, result, generation: generation, pause: pause) }
      }
    }
  }

  private func took(_ id: SnapshotID, _ result: Result<VolumeSnapshot, SnapshotFailure>, generation: UInt64, pause: UInt64) {
    guard let serving, serving.record.generation == generation else { return }
    tending.taking.remove(id)
    switch result {
    case .success:
      tending.troubles[id] = nil
      node.log.write("volume \(assignment.volumeName): snapshot \(id) is ready; writes have waited at most \(pause / 1000) µs for one")
    case .failure(let failure):
      tending.troubles[id] = failure.reason
      tending.resting.insert(id)
      node.log.write("volume \(assignment.volumeName): snapshot \(id) was not taken: \(failure.reason)")
      queue.asyncAfter(deadline: .now() + Self.retrySeconds) {
        self.tending.resting.remove(id)
        self.tend()
      }
    }
    lookAgain()
  }

  private func grow(to size: UInt64, _ serving: Serving) {
    tending.isGrowing = true
    let (nexus, generation) = (serving.nexus, serving.record.generation)
    serving.reactor.post { [self] _ in
      nexus.value.grow(volumeToSizeBytes: size) { [self] result in queue.async { self.grew(result, size, generation: generation) } }
    }
  }

  private func grew(_ result: Result<Bool, SnapshotFailure>, _ size: UInt64, generation: UInt64) {
    guard let serving, serving.record.generation == generation else { return }
    tending.isGrowing = false
    switch result {
    case .success:
      tending.growthTrouble = nil
      node.log.write("volume \(assignment.volumeName) has \(ByteText.of(size)) now")
    case .failure(let failure):
      tending.growthTrouble = "it cannot grow to \(ByteText.of(size)): \(failure.reason)"
      node.log.write("volume \(assignment.volumeName) \(tending.growthTrouble!)")
      tending.isGrowthResting = true
      queue.asyncAfter(deadline: .now() + Self.retrySeconds) {
        self.tending.isGrowthResting = false
        self.tend()
      }
    }
    lookAgain()
  }

  /// What the nexus says now, whatever it told last.
  private func lookAgain() {
    guard let serving, !isStopping else { return }
    let nexus = serving.nexus
    let report = serving.reactor.call { _ in NexusReport(nexus.value) }
    nexusChanged(report, generation: serving.record.generation)
  }
}
