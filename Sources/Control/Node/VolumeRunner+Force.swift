import Foundation
import Nexus
import Pool

/// Where only an operator can decide (R6, R7): a new lineage from one replica.
///
/// The in-sync record is changed in one transaction: the set is that replica alone, and the generation is one that no nexus has. Who was a
/// member, or left later than the replica that is gone on from, may hold writes that are lost now: they are kept, and nobody claims them,
/// until they are discarded. All others are compared with the set before they join, whatever anybody recorded of them.
extension InSyncRecord {
  /// Goes on from a replica, if the request holds for this record; says why not.
  mutating func force(_ request: ForceRequest, now: Date) -> String? {
    if now.timeIntervalSince(request.requestedAt) > ForceRequest.validSeconds {
      return "it was asked for more than \(Int(ForceRequest.validSeconds) / 60) minutes ago"
    }
    if request.servedGeneration != confirmedGeneration ?? 0 || request.setVersion != setVersion {
      return "the volume has changed since it was asked for"
    }
    let place = out.firstIndex { $0.id == request.replica }
    guard place != nil || members.contains(request.replica) else { return "replica \(request.replica) is not one of the volume" }
    if let place, out[place].keptBy != nil { return "replica \(request.replica) was left behind by an earlier force" }
    for index in out.indices {
      out[index].isForeign = true
      // In the order in which they left.
      if let place, index > place, out[index].keptBy == nil { out[index].keptBy = request.id }
    }
    if let place { out.remove(at: place) }
    for member in members where member != request.replica {
      var behind = Absent(id: member, reason: "left behind by force", atGeneration: generation)
      behind.isForeign = true
      behind.keptBy = request.id
      behind.leftAt = Date(timeIntervalSince1970: now.timeIntervalSince1970.rounded(.down))
      out.append(behind)
    }
    members = [request.replica]
    setVersion += 1
    generation += 1
    nexusIncarnation = ""
    // What it accepted last is what it has.
    confirmedGeneration = nil
    return nil
  }
}

extension VolumeRunner {
  /// Decides about a force that was asked for: once, whatever is decided. On `queue`.
  func followForce() {
    guard let request = assignment.orders?.force, request.id != lastForce, let serving, let told, !isStopping else { return }
    do {
      guard var stored = try node.store.object(InSyncRecord.self, at: Keys.inSync(assignment.volumeID)) else { return }
      if stored.object.generation != serving.record.generation {
        // Perhaps by this force, whose answer was lost.
        return restart("generation \(stored.object.generation) of the volume has begun")
      }
      if stored.object.lastForce?.id == request.id {
        lastForce = request.id
        return
      }
      let refusal = told.state == .serving ? "the volume is being served" : stored.object.force(request, now: .now)
      stored.object.lastForce = ForceOutcome(id: request.id, refusal: refusal)
      let transaction = StoreTransaction(compares: [stored.isUnchanged], operations: [stored.replacement])
      guard try node.store.transact(transaction).committedRevision != nil else {
        queue.asyncAfter(deadline: .now() + .milliseconds(Self.retryMilliseconds)) { self.followForce() }
        return
      }
      lastForce = request.id
      if let refusal { return node.log.write("volume \(assignment.volumeName): a force is refused: \(refusal)") }
      node.log.write("volume \(assignment.volumeName): an operator's force: it goes on from replica \(request.replica)")
      restart("an operator's force began a new lineage")
    } catch {
      node.log.write("volume \(assignment.volumeName): a force waits for the state store: \(error)")
      queue.asyncAfter(deadline: .now() + .milliseconds(Self.retryMilliseconds)) { self.followForce() }
    }
  }

  /// Replicas left behind whose content was given up are replicas like others from now on: compared, and made equal.
  func discardKept(_ serving: Serving) {
    for request in assignment.orders?.discarded ?? [] where kept[request.replica] == request.force {
      let record = serving.record
      let isDone = commits.sync {
        record.amend { record in
          for index in record.out.indices where record.out[index].id == request.replica { record.out[index].keptBy = nil }
        }
      }
      guard isDone else { return }
      kept[request.replica] = nil
      node.log.write("volume \(assignment.volumeName): replica \(request.replica), which a force left behind, is discarded")
    }
  }
}
