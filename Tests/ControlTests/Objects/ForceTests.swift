import Foundation
import Testing

@testable import Control

/// What an operator's force makes of an in-sync record.
@Suite struct ForceTests {
  private let replicas = (0..<3).map { _ in ReplicaID() }
  private let now = Date(timeIntervalSince1970: 1_000_000)

  /// C left first, then A; B is the set.
  private var record: InSyncRecord {
    InSyncRecord(
      generation: 7, setVersion: 4, nexusNode: "n", nexusIncarnation: "i", members: [replicas[1]],
      out: [
        .init(id: replicas[2], reason: "away", atGeneration: 5, acceptedGeneration: 5),
        .init(id: replicas[0], reason: "away", atGeneration: 6, acceptedGeneration: 6),
      ], confirmedGeneration: 7)
  }

  private func request(_ replica: ReplicaID, served: UInt64 = 7, setVersion: UInt64 = 4, age: Double = 1) -> ForceRequest {
    var seen = record
    (seen.confirmedGeneration, seen.setVersion) = (served, setVersion)
    return ForceRequest(requestedAt: now.addingTimeInterval(-age), replica: replica, record: seen)
  }

  @Test func `the set is the one replica; who may have more is kept, and nobody is believed`() {
    var forced = record
    let asked = request(replicas[0])
    #expect(forced.force(asked, now: now) == nil)
    #expect(forced.members == [replicas[0]] && forced.generation == 8 && forced.setVersion == 5 && forced.confirmedGeneration == nil)
    #expect(forced.out.map(\.id) == [replicas[2], replicas[1]])
    #expect(forced.out.map(\.isForeign) == [true, true])
    #expect(forced.out.map(\.keptBy) == [nil, asked.id], "C left before A and has nothing that A lacks")
    var other = record
    let older = request(replicas[2])
    #expect(other.force(older, now: now) == nil)
    #expect(other.out.map(\.id) == [replicas[0], replicas[1]] && other.out.map(\.keptBy) == [older.id, older.id])
    // Also from the last member, where its disk is all there is.
    var same = record
    #expect(same.force(request(replicas[1]), now: now) == nil)
    #expect(same.members == [replicas[1]] && same.out.map(\.keptBy) == [nil, nil])
  }

  @Test func `it holds for what the operator saw, and not for long`() {
    var untouched = record
    #expect(untouched.force(request(replicas[0], served: 6), now: now)?.contains("changed") == true)
    #expect(untouched.force(request(replicas[0], setVersion: 3), now: now)?.contains("changed") == true)
    #expect(untouched.force(request(replicas[0], age: 601), now: now)?.contains("minutes ago") == true)
    #expect(untouched.force(request(ReplicaID()), now: now)?.contains("not one of the volume") == true)
    #expect(untouched == record)
    var twice = record
    #expect(twice.force(request(replicas[0]), now: now) == nil)
    #expect(twice.force(request(replicas[1], served: 0, setVersion: 5), now: now)?.contains("left behind") == true)
  }
}
