import Pool
import Reactor

/// Snapshots on their way out. The store says "deleting" first, and forgets one only when every replica of the volume, absent ones
/// included, has said that it is not there (any more). So what comes back late is found to have to go.
extension Nexus {
  /// Looks at all snapshots that are neither ready nor being taken.
  func settleSnapshots() {
    guard phase == .prepared, activeMask != 0 else { return }
    // Of a nexus that died, or of a try that was given up.
    if plannedRecord.snapshots.contains(where: { $0.state == .preparing && $0.id != take?.id }) {
      changeRecord { record in
        for index in record.snapshots.indices
        where record.snapshots[index].state == .preparing && record.snapshots[index].id != take?.id {
          record.snapshots[index].state = .deleting
        }
      }
    }
    // After an operator's force: the replica that the volume goes on from was away when they were taken.
    let lost = plannedRecord.ready.filter { snapshot in
      setMask == healthyMask && activeMask == healthyMask
        && replicas.indices.allSatisfy {
          healthyMask & Self.bit($0) == 0 || replicas[$0].claimed?.snapshots.contains(snapshot.id) == false
        }
    }.map(\.id)
    if !lost.isEmpty, take == nil {
      changeRecord { record in
        for index in record.snapshots.indices where lost.contains(record.snapshots[index].id) { record.snapshots[index].state = .deleting }
      }
    }
    var gone: [Identifier] = []
    for snapshot in record.snapshots where snapshot.state == .deleting {
      for index in replicas.indices { clean(snapshot.id, index) }
      let all = replicas.indices.reduce(UInt8(0)) { replicas[$1].isForgotten ? $0 : $0 | Self.bit($1) }
      if all & ~(cleanMasks[snapshot.id] ?? 0) == 0 { gone.append(snapshot.id) }
    }
    let leaving = gone.filter { id in plannedRecord.snapshots.contains { $0.id == id } }
    if leaving.isEmpty { return }
    changeRecord { record in record.snapshots.removeAll { leaving.contains($0.id) } }
  }

  /// Asks a replica to delete a snapshot, once in each of its sessions until it did.
  private func clean(_ id: Identifier, _ index: Int) {
    let bit = Self.bit(index)
    guard cleanMasks[id, default: 0] & bit == 0, replicas[index].claimed != nil, !replicas[index].cleaning.contains(id),
      setMask & bit == 0 || healthyMask & bit != 0
    else { return }
    replicas[index].cleaning.append(id)
    ask(index, .deleteSnapshot(id)) { [self] result in
      if isOver { return }
      switch result {
      case .success, .failure(.invalid):
        // The answer of a former session never comes here.
        cleanMasks[id, default: 0] |= bit
        replicas[index].claimed?.snapshots.removeAll { $0 == id }
        stepSnapshots()
      case .failure(.lost): break
      case .failure:
        after(nanoseconds: Self.cleanRetryNanoseconds) { [self] in
          replicas[index].cleaning.removeAll { $0 == id }
          stepSnapshots()
        }
      }
    }
  }
}
