import Testing

@testable import Nexus

/// Who is right (R20).
struct ScrubVerdictTests {
  private func verdict(_ sums: [UInt32?], trusted: Int? = nil) -> ScrubVerdict? {
    ScrubVerdict.of(sums.enumerated().map { (index: $0.offset, sum: $0.element) }, trusted: trusted)
  }

  @Test func `the majority of three is right`() {
    #expect(verdict([5, 5, 5]) == nil)
    #expect(verdict([5, 6, 5]) == .repair(mask: 0b010, sources: 0b101))
    #expect(verdict([6, 5, 5], trusted: 0) == .repair(mask: 0b001, sources: 0b110))
    #expect(verdict([4, 5, 6]) == .unresolved)
    #expect(verdict([4, 4, 5, 5]) == .unresolved)
  }

  @Test func `of two nobody knows, but for the operator`() {
    #expect(verdict([5, 6]) == .unresolved)
    #expect(verdict([5, 6], trusted: 1) == .repair(mask: 0b01, sources: 0b10))
    #expect(verdict([4, 5, 6], trusted: 2) == .repair(mask: 0b011, sources: 0b100))
    #expect(verdict([5]) == nil)
  }

  @Test func `who cannot be read is repaired from those that can and agree`() {
    #expect(verdict([nil, 6]) == .repair(mask: 0b01, sources: 0b10))
    #expect(verdict([nil, 6, 6]) == .repair(mask: 0b001, sources: 0b110))
    #expect(verdict([nil, 5, 6]) == .unresolved)
    #expect(verdict([nil, 5, 6], trusted: 0) == .unresolved)
    #expect(verdict([nil, 5, 6], trusted: 1) == .repair(mask: 0b101, sources: 0b010))
    #expect(verdict([nil]) == .unresolved)
    #expect(verdict([nil, nil, 4]) == .repair(mask: 0b011, sources: 0b100))
  }
}
