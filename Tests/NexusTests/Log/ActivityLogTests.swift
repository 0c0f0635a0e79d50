import Testing

@testable import Nexus

/// The table of regions by itself (R5).
struct ActivityLogTests {
  @Test func `pins all regions of a change or none`() {
    var log = ActivityLog(regionCount: 10, capacity: 4)
    #expect(log.pinHot(0, 1, now: 1) == false)
    #expect(log.admit(0, 2, now: 1) == .pinned(new: [0, 1, 2]))
    #expect(log.admit(2, 4, now: 1) == .noRoom)
    #expect(log.regions == [0, 1, 2])
    #expect(log.admit(2, 3, now: 1) == .pinned(new: [3]))
    #expect(log.areHot(0, 3) == false)
    for region in 0...3 { log.setHot(region, now: 2) }
    #expect(log.areHot(0, 3) == true)
    #expect(log.pinHot(1, 2, now: 3) == true)
    #expect(log.pinHot(3, 4, now: 3) == false)
    #expect(log.entry(1)?.pins == 2)
    #expect(log.entry(3)?.pins == 1)
    #expect(log.entry(4) == nil)
  }

  @Test func `a later change cancels the drop of its region`() {
    var log = ActivityLog(regionCount: 4, capacity: 4)
    for region in 0..<3 {
      _ = log.admit(region, region, now: UInt64(region))
      log.setHot(region, now: UInt64(region))
      log.unpin(region, region)
    }
    let candidates = log.candidates(usedBefore: 2, limit: 4)
    #expect(candidates.map(\.region) == [0, 1])
    #expect(log.pinHot(0, 0, now: 5) == true)
    #expect(log.beginDrop(0, ifUnchangedSince: candidates[0].sequence) == false)
    log.unpin(0, 0)
    // Over and done with, and yet later than the flush.
    #expect(log.beginDrop(0, ifUnchangedSince: candidates[0].sequence) == false)
    #expect(log.beginDrop(1, ifUnchangedSince: candidates[1].sequence) == true)
    #expect(log.admit(1, 1, now: 6) == .dropping)
    #expect(log.pinHot(1, 1, now: 6) == false)
    log.remove(1)
    #expect(log.admit(1, 1, now: 7) == .pinned(new: [1]))
    #expect(log.regions == [0, 1, 2])
  }

  @Test func `candidates are the oldest that nobody pins`() {
    var log = ActivityLog(regionCount: 100, capacity: 8)
    for region in [50, 10, 30, 20] {
      _ = log.admit(region, region, now: UInt64(region))
      log.setHot(region, now: 0)
      if region != 30 { log.unpin(region, region) }
    }
    #expect(log.candidates(usedBefore: .max, limit: 2).map(\.region) == [10, 20])
    #expect(log.candidates(usedBefore: .max, limit: 9).map(\.region) == [10, 20, 50])
  }

  @Test func `what awaits reconciliation is neither dropped nor forgotten`() {
    var log = ActivityLog(regionCount: 8, capacity: 8)
    for region in [1, 5] {
      #expect(log.adopt(region) == true)
      log.setHot(region, now: 0)
    }
    log.awaitReconciliation()
    #expect(log.awaitingCount == 2)
    #expect(log.awaitingRegions == [1, 5])
    #expect(log.firstAwaiting(0, 0) == nil)
    #expect(log.firstAwaiting(0, 7) == 1)
    #expect(log.candidates(usedBefore: .max, limit: 8).isEmpty == true)
    log.reconciled(1)
    log.reconciled(1)
    #expect(log.awaitingCount == 1)
    #expect(log.firstAwaiting(0, 7) == 5)
    #expect(log.candidates(usedBefore: .max, limit: 8).map(\.region) == [1])
  }

  @Test func `a full log adopts no more`() {
    var log = ActivityLog(regionCount: 8, capacity: 2)
    #expect(log.adopt(3) == true)
    #expect(log.adopt(4) == true)
    #expect(log.adopt(3) == true)
    #expect(log.adopt(5) == false)
    #expect(log.count == 2)
  }

  @Test func `regions become ranges`() {
    #expect(ActivityLog.ranges(of: []) == [])
    #expect(ActivityLog.ranges(of: [1, 2, 3, 7, 9, 10]) == [1..<4, 7..<8, 9..<11])
  }

  @Test func `grows with its volume and keeps what it holds`() {
    var log = ActivityLog(regionCount: 3, capacity: 5)
    let first = log.admit(0, 2, now: 1)
    #expect(first == .pinned(new: [0, 1, 2]))
    for region in 0..<3 { log.setHot(region, now: 1) }
    log.grow(toRegionCount: 8)
    let (count, regions, areHot) = (log.regionCount, log.regions, log.areHot(0, 2))
    #expect(count == 8 && regions == [0, 1, 2] && areHot)
    let second = log.admit(6, 7, now: 2)
    #expect(second == .pinned(new: [6, 7]))
    // As many as the members' logs hold, and no more.
    let third = log.admit(4, 4, now: 3)
    #expect(third == .noRoom)
    log.unpin(0, 2)
    log.remove(1)
    let fourth = log.admit(4, 4, now: 4)
    #expect(fourth == .pinned(new: [4]))
  }
}
