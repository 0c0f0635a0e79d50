import Foundation
import NVMe
import Nexus
import Pool
import Reactor

/// Ways to the replicas that are assigned, which may change while the nexus runs: one that is lost for good is replaced by another, which is
/// new to the nexus and gets all that is allocated.
extension VolumeRunner {
  /// Whether the nexus may use a replica still, or again. From any thread.
  func isUsing(_ replica: ReplicaID) -> Bool { uses.withLock { $0.assigned.contains(replica) || $0.linked.contains(replica) } }

  /// Opens ways to those that are assigned, takes from the nexus those that are not, and closes what it has let go of. On `queue`.
  func followReplicas() {
    guard let serving, !isStopping else { return }
    let (nexus, minInSync) = (serving.nexus, assignment.effectiveMinInSync)
    serving.reactor.call { _ in nexus.value.setMinInSync(minInSync) }
    discardKept(serving)
    for replica in assignment.replicas where kept[replica.id] == nil && !serving.links.contains(where: { $0.replica == replica.id }) {
      open(replica.id, serving)
    }
    for entry in serving.links where assignment.node(of: entry.replica) == nil && !serving.goers.contains(entry.replica) {
      serving.goers.append(entry.replica)
    }
    for replica in serving.goers { remove(replica, serving) }
  }

  private func open(_ id: ReplicaID, _ serving: Serving) {
    uses.withLock { _ = $0.linked.insert(id) }
    let (transport, nexus, host) = (serving.transport, serving.nexus, serving.host)
    let generation = serving.record.generation
    let link = serving.reactor.call { [self] _ in
      let link = ReplicaLink(
        context: transport.value, nexus: nexus.value, replica: PoolIdentifier(id), subsystem: QualifiedName(NQN.replica(id))!, host: host,
        locate: { [self] answer in
          queue.async {
            let assignment = self.assignment
            // A store that is away must not keep hosts waiting for what else there is to do.
            self.lookups.async { answer(self.place(of: id, in: assignment)) }
          }
        },
        tell: { [self] trouble in queue.async { self.replicaChanged(id, trouble: trouble, generation: generation) } })
      link.start()
      return ReactorBound(link)
    }
    serving.links.append((id, link))
  }

  /// It is no longer a replica of the volume: the nexus lets go of it as soon as it can, and then the store forgets it.
  private func remove(_ id: ReplicaID, _ serving: Serving) {
    let nexus = serving.nexus
    let isGone = serving.reactor.call { _ in
      nexus.value.removeReplica(PoolIdentifier(id))
      return !nexus.value.members.contains { $0.replica == PoolIdentifier(id) }
    }
    guard isGone else { return }
    serving.goers.removeAll { $0 == id }
    if let index = serving.links.firstIndex(where: { $0.replica == id }) {
      let entry = serving.links.remove(at: index)
      close(entry.link, of: id, serving)
    }
    troubles[id] = nil
    node.log.write("volume \(assignment.volumeName): replica \(id) is no longer used")
    let (record, keeper) = (serving.record, keeper)
    commits.async {
      _ = record.amend { if !$0.members.contains(id) { $0.out.removeAll { $0.id == id } } }
      // It may be deleted now, if it was here.
      keeper.whenMade?()
    }
  }

  /// Returns when nothing of it is under way.
  func close(_ link: ReactorBound<ReplicaLink>, of id: ReplicaID, _ serving: Serving) {
    _ = serving.reactor.callAsynchronously { (_, done: @escaping @Sendable (Bool) -> Void) in link.value.close { done(true) } }
    uses.withLock { _ = $0.linked.remove(id) }
  }
}
