import Foundation
import Nexus

/// What a nexus tells, in the words of its status.
extension VolumeRunner {
  func publishReport() {
    guard let told else { return }
    let replicas = assignment.replicas.map { replica(told, $0) }
    past.note(told)
    let rebuilds = past.all
    switch told.state {
    case .starting(let reason): publish(.starting, named(reason), replicas: replicas, rebuilds: rebuilds)
    case .blocked(let reason): publish(.blocked, named(reason), replicas: replicas, rebuilds: rebuilds)
    case .fenced, .stopped: break
    case .serving:
      let state: NexusStatus.State
      if replicas.allSatisfy({ $0.state == .inSync }) {
        state = .healthy
      } else {
        state = replicas.contains { $0.state == .syncing } ? .rebuilding : .degraded
      }
      publish(state, replicas: replicas, rebuilds: rebuilds)
    }
  }

  private func replica(_ told: NexusReport, _ replica: NexusAssignment.Replica) -> NexusStatus.Replica {
    func seen(_ state: NexusStatus.Replica.State, _ reason: String?) -> NexusStatus.Replica {
      let reason = [reason, troubles[replica.id]].compactMap(\.self).filter { !$0.isEmpty }
      // What the link says now is in what the nexus said then, most of the time.
      let text = reason.count == 2 && reason[0] == reason[1] ? reason[0] : reason.joined(separator: "; now: ")
      return .init(id: replica.id, node: replica.node, state: state, reason: text.isEmpty ? nil : named(text))
    }
    switch told.members.first(where: { $0.replica.description == replica.id.description })?.state {
    case .inSync: return .init(id: replica.id, node: replica.node, state: .inSync)
    case .syncing, .joining: return .init(id: replica.id, node: replica.node, state: .syncing)
    // Claimed, and waits for the others.
    case .unreached("") where troubles[replica.id] == nil: return .init(id: replica.id, node: replica.node, state: .inSync)
    case .unreached(let reason): return seen(.unreachable, reason)
    case .leaving(let reason), .out(let reason): return seen(.absent, reason)
    case nil: return seen(.absent, nil)
    }
  }

  /// With the names of nodes instead of the identifiers of replicas.
  private func named(_ text: String) -> String {
    assignment.replicas.reduce(text) {
      $0.replacingOccurrences(of: "replica \($1.id)", with: "replica on \($1.node)").replacingOccurrences(of: "\($1.id)", with: $1.node)
    }
  }
}
