import Dispatch
import NVMe
import Nexus
import Pool
import Reactor
import Target

/// A replica at the disposal of nexuses: its gate, and the subsystem through which those of other nodes come to it. The nexus on
/// this reactor takes a session of the gate itself. Called on control threads.
final class ReplicaService: Sendable {
  let gate: ReactorBound<ReplicaGate>
  private let name: QualifiedName
  private let reactor: ReactorReference
  private let target: TargetServer

  /// For a replica of a pool, open on `reactor`; whoever opened it closes it, after `stop`.
  convenience init(
    replica: ReactorBound<PoolReplica>, description: SubsystemDescription, target: TargetServer, reactor: ReactorReference,
    incarnation: PoolIdentifier
  ) {
    let storage = reactor.call { _ in ReactorBound<ReplicaStorage>(PooledStorage(replica.value)) }
    self.init(storage: storage, description: description, target: target, reactor: reactor, incarnation: incarnation)
  }

  /// - Parameters:
  ///   - storage: on `reactor`.
  ///   - description: of its subsystem; hosts are the nexuses of its volume.
  ///   - incarnation: another one for every run of this process (R2).
  init(
    storage: ReactorBound<ReplicaStorage>, description: SubsystemDescription, target: TargetServer, reactor: ReactorReference,
    incarnation: PoolIdentifier, leaseNanoseconds: UInt64 = ReplicaGate.standardLeaseNanoseconds
  ) {
    name = description.name
    self.reactor = reactor
    self.target = target
    gate = reactor.call { reactor in
      ReactorBound(
        ReplicaGate(storage: storage.value, reactor: reactor, incarnation: incarnation, leaseNanoseconds: leaseNanoseconds))
    }
    let (gate, name) = (gate, name)
    if let namespace = description.namespace {
      reactor.call { _ in
        gate.value.sizeChanged = { size in
          // The target waits for reactors: not from one of them.
          DispatchQueue.global().async { target.setNamespace(namespace.resized(to: size), of: name) }
        }
      }
    }
    target.add(
      description, attach: ReactorBound({ _ in ReplicaAttachment(gate: gate.value) }), onReactor: reactor.index, isDiscoverable: false,
      usesReplicaArena: true)
  }

  /// Ends all sessions. When this returns nothing is in the storage any more, and the replica may be closed.
  func stop() {
    target.remove(name)
    let gate = gate
    _ = reactor.callAsynchronously { (_, done: @escaping @Sendable (Bool) -> Void) in
      gate.value.sizeChanged = nil
      gate.value.close { done(true) }
    }
  }
}
