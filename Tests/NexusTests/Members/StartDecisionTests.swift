import Testing

@testable import Nexus

/// Which members make a start (R2, R3, R7).
struct StartDecisionTests {
  private func decide(_ set: UInt8, _ reached: UInt8, lost: UInt8 = 0, isGraceOver: Bool = false, least: Int = 1) -> StartDecision {
    .decide(setMask: set, reachedMask: reached, lostMask: lost, isGraceOver: isGraceOver, minInSync: least)
  }

  @Test func `all members reached: all go, and those that lost nothing are the sources`() {
    #expect(decide(0b111, 0b111) == StartDecision(action: .go(leaving: 0), sourceMask: 0b111))
    #expect(decide(0b111, 0b111, lost: 0b101) == StartDecision(action: .go(leaving: 0), sourceMask: 0b010))
  }

  @Test func `R7: if all have lost their caches, any will do`() {
    #expect(decide(0b11, 0b11, lost: 0b11) == StartDecision(action: .go(leaving: 0), sourceMask: 0b11))
  }

  @Test func `R7: a lost cache does not serve while another member may not have lost its`() {
    #expect(decide(0b11, 0b01, lost: 0b01, isGraceOver: true).action == .wait(.cachesLost))
    #expect(decide(0b111, 0b011, lost: 0b011, isGraceOver: true, least: 2).action == .wait(.cachesLost))
  }

  @Test func `R2: the missing leave after their grace, if the rest is enough`() {
    #expect(decide(0b111, 0b011).action == .wait(.grace))
    #expect(decide(0b111, 0b011, isGraceOver: true, least: 2).action == .go(leaving: 0b100))
    #expect(decide(0b111, 0b001, isGraceOver: true, least: 2).action == .go(leaving: 0))
    #expect(decide(0b11, 0, isGraceOver: true).action == .wait(.noneReached))
  }

  @Test func `a source never is a member that lost its cache while another did not, in every case of three members`() {
    for set in UInt8(1)...7 {
      for reached in UInt8(0)...7 where reached & ~set == 0 {
        for lost in UInt8(0)...7 where lost & ~reached == 0 {
          for least in 1...2 {
            let decision = decide(set, reached, lost: lost, isGraceOver: true, least: least)
            guard case .go(let leaving) = decision.action else { continue }
            #expect(decision.sourceMask != 0 && decision.sourceMask & ~reached == 0)
            #expect(leaving & reached == 0 && leaving & ~set == 0)
            // All lost theirs, none that may not have is away, or only those count that lost nothing.
            #expect(decision.sourceMask & lost == 0 || (reached == set && lost == set))
            if leaving != 0 { #expect((set & ~leaving).nonzeroBitCount >= least) }
          }
        }
      }
    }
  }

  @Test func `R3: nobody waits for a member that lost its data`() {
    let decision = StartDecision.decide(
      setMask: 0b111, reachedMask: 0b011, lostMask: 0b011, rolledBackMask: 0b100, isGraceOver: false, minInSync: 2)
    #expect(decision == StartDecision(action: .go(leaving: 0b100), sourceMask: 0b011))
    let short = StartDecision.decide(
      setMask: 0b111, reachedMask: 0b001, lostMask: 0, rolledBackMask: 0b110, isGraceOver: false, minInSync: 2)
    #expect(short == StartDecision(action: .go(leaving: 0), sourceMask: 0b001))
    let waiting = StartDecision.decide(
      setMask: 0b111, reachedMask: 0b001, lostMask: 0, rolledBackMask: 0b010, isGraceOver: false, minInSync: 1)
    #expect(waiting.action == .wait(.grace))
  }
}
