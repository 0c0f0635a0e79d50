import Foundation
import Synchronization
import Testing

@testable import Control

/// When a node takes itself for cut off.
@Suite struct SeclusionWatchTests {
  /// A store that answers, refuses, or hangs.
  private final class Store: Sendable {
    enum Mode { case answers, refuses, hangs }
    private let mode: Mutex<Mode>
    let questions = Mutex(0)
    /// Goes on with each look, so that nothing depends on how busy the machine is.
    let clock = Atomic<UInt64>(0)
    let news = Mutex<[Bool]>([])

    init(_ mode: Mode) { self.mode = Mutex(mode) }

    func set(_ new: Mode) { mode.withLock { $0 = new } }

    func ask() -> Bool {
      questions.withLock { $0 += 1 }
      clock.add(20_000_000, ordering: .relaxed)
      while mode.withLock({ $0 == .hangs }) {
        clock.add(1_000_000, ordering: .relaxed)
        usleep(2_000)
      }
      return mode.withLock { $0 == .answers }
    }

    func watch() -> SeclusionWatch {
      SeclusionWatch(
        patienceNanoseconds: 50_000_000, intervalNanoseconds: 10_000_000, now: { self.clock.load(ordering: .relaxed) }, ask: ask
      ) { secluded in
        self.news.withLock { $0.append(secluded) }
      }
    }

    /// False if it does not come within a minute.
    func hears(_ expected: [Bool]) -> Bool {
      for _ in 0..<30_000 {
        if news.withLock({ $0 }) == expected { return true }
        usleep(2_000)
      }
      return false
    }
  }

  @Test(arguments: [true, false]) func `no peer and no store: cut off until either is back`(hangs: Bool) {
    let store = Store(hangs ? .hangs : .refuses)
    let watch = store.watch()
    watch.setAlone(true)
    #expect(store.hears([true]))
    store.set(.answers)
    #expect(store.hears([true, false]))
    store.set(.refuses)
    #expect(store.hears([true, false, true]))
    watch.setAlone(false)
    #expect(store.hears([true, false, true, false]))
    watch.stop()
  }

  @Test func `a store that answers, or a peer that is there, is enough`() {
    let store = Store(.answers)
    let watch = store.watch()
    usleep(100_000)
    #expect(store.questions.withLock { $0 } == 0)
    watch.setAlone(true)
    for _ in 0..<30_000 where store.questions.withLock({ $0 }) < 20 { usleep(2_000) }
    #expect(store.questions.withLock { $0 } >= 20)
    watch.setAlone(false)
    store.set(.refuses)
    usleep(200_000)
    watch.stop()
    #expect(store.news.withLock { $0 }.isEmpty)
  }
}
