import Pool
import Reactor

/// Asking replicas what is not data.
extension Nexus {
  /// How long a replica that was busy is left alone.
  private static let busyNanoseconds: UInt64 = 2_000_000

  /// Those that keep the activity log and the records of absent replicas.
  var logMask: UInt8 { healthyMask | syncMask | preparingMask }

  /// Asks one replica through the session it has now. No answer is told after another session took its place.
  func ask(_ index: Int, _ question: ReplicaQuestion, then answer: @escaping (Result<ReplicaAnswer, ReplicaRefusal>) -> Void) {
    guard let door = replicas[index].door else { return after { answer(.failure(.lost)) } }
    let session = replicas[index].session
    door.ask(question) { [self] result in
      if case .failure(.busy) = result, replicas[index].session == session, !isOver {
        return after(nanoseconds: Self.busyNanoseconds) { [self] in
          if replicas[index].session == session { ask(index, question, then: answer) } else { answer(.failure(.lost)) }
        }
      }
      answer(replicas[index].session == session ? result : .failure(.lost))
    }
  }

  /// Asks each of the replicas its questions, in order, and goes on when all have answered. One that refuses has a fault, and is
  /// not waited for any more. Nothing follows after service ended or the nexus was fenced meanwhile.
  func askAll(_ mask: UInt8, _ asked: (Int) -> [ReplicaQuestion], then done: @escaping () -> Void) {
    let round = QuestionRound()
    for index in replicas.indices where mask & Self.bit(index) != 0 {
      for question in asked(index) {
        round.pending += 1
        ask(index, question) { [self] result in
          round.pending -= 1
          if case .failure(let refusal) = result, round.failedMask & Self.bit(index) == 0 {
            round.failedMask |= Self.bit(index)
            if !isOver { fault(index, refusal) }
          }
          if round.pending == 0, !isOver { done() }
        }
      }
    }
    if round.pending == 0 { after { [self] in if !isOver { done() } } }
  }

  /// A change of a set of regions, in as many questions as it takes.
  func questions(_ set: RegionSetName, _ regions: [Int], isMember: Bool) -> [ReplicaQuestion] {
    let ranges = ActivityLog.ranges(of: regions)
    let most = configuration.rangesPerQuestion
    // An empty list makes the record exist.
    if ranges.isEmpty { return set == .activity ? [] : [.setRegions(set, [], isMember: isMember)] }
    return stride(from: 0, to: ranges.count, by: most).map {
      .setRegions(set, Array(ranges[$0..<min($0 + most, ranges.count)]), isMember: isMember)
    }
  }

  /// A record of what a replica missed, where there may be none yet (R6). Whoever finds one takes it for whole, and a crash, of the nexus or of who
  /// is asked, leaves some of several ranges. So a record of more than one is of everything first, which is one range, and then what is too
  /// much is taken off: cut short, it is too long. Nothing else may be put on the record meanwhile.
  func recordQuestions(of peer: Identifier, _ regions: [Int]) -> [ReplicaQuestion] {
    let name = RegionSetName.missed(peer: peer)
    let ranges = ActivityLog.ranges(of: regions)
    if ranges.count <= 1 || plantedErrors.contains(.recordsInParts) { return questions(name, regions, isMember: true) }
    let isMissed = Set(regions)
    return [.setRegions(name, [0..<log.regionCount], isMember: true)]
      + questions(name, (0..<log.regionCount).filter { !isMissed.contains($0) }, isMember: false)
  }
}

/// Answers that are waited for together.
private final class QuestionRound {
  var pending = 0
  var failedMask: UInt8 = 0
}
