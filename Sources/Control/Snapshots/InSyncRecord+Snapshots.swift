import Foundation
import Nexus
import Pool

/// The nexus's snapshots, as its record keeps them.
extension InSyncRecord {
  /// In the nexus's words.
  var volumeSnapshots: [VolumeSnapshot] {
    snapshots.compactMap { snapshot in
      guard let id = PoolIdentifier(snapshot.replicaSnapshot) else { return nil }
      let state: VolumeSnapshot.State =
        switch snapshot.state {
        case .preparing: .preparing
        case .ready: .ready
        case .deleting: .deleting
        }
      return VolumeSnapshot(id: id, request: PoolIdentifier(snapshot.id), state: state, sizeBytes: snapshot.sizeBytes)
    }
  }

  /// Takes what the nexus decided. The same twice is the same as once: the moment at which one was ready stays.
  mutating func take(_ decided: [VolumeSnapshot], now: Date) {
    let before = snapshots
    for snapshot in decided where snapshot.state == .deleting {
      guard before.contains(where: { $0.replicaSnapshot == snapshot.id.description && $0.state == .ready }) else { continue }
      endedSnapshots = ((endedSnapshots ?? []) + [SnapshotID(snapshot.request)]).suffix(SnapshotSpec.maximumPerVolume)
    }
    snapshots = decided.map { snapshot in
      let state: Snapshot.State =
        switch snapshot.state {
        case .preparing: .preparing
        case .ready: .ready
        case .deleting: .deleting
        }
      let known = before.first { $0.replicaSnapshot == snapshot.id.description }
      let takenAt = state == .ready ? known?.takenAt ?? now : known?.takenAt
      return Snapshot(
        id: SnapshotID(snapshot.request), replicaSnapshot: snapshot.id.description, state: state, sizeBytes: snapshot.sizeBytes,
        takenAt: takenAt)
    }
  }
}

extension PoolIdentifier {
  init(_ id: SnapshotID) { self = PoolIdentifier(id.description)! }
}

extension SnapshotID {
  init(_ id: PoolIdentifier) { self = SnapshotID(id.description)! }
}
