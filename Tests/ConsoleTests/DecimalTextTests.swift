import Testing

@testable import Console

@Suite struct DecimalTextTests {
  @Test(
    arguments: [
      (0, 0, "0"), (0.5, 0, "1"), (1.005, 2, "1.00"), (1.05, 3, "1.050"), (-2.25, 1, "-2.3"), (-0.001, 2, "0.00"), (9.999, 2, "10.00"),
      (123456.789, 1, "123456.8"),
    ] as [(Double, Int, String)])
  func fixed(value: Double, decimals: Int, text: String) {
    #expect(DecimalText.fixed(value, decimals: decimals) == text)
  }

  @Test func valuesBeyondTheirReach() {
    #expect(DecimalText.fixed(.infinity, decimals: 2) == "inf")
    #expect(DecimalText.fixed(.nan, decimals: 2) == "nan")
    #expect(DecimalText.fixed(1e300, decimals: 2) == "1e+300")
  }

  @Test(
    arguments: [(0, "0"), (999, "999"), (1_234, "1.23k"), (45_678, "45.7k"), (999_600, "1.00M"), (2.5e9, "2.50G")] as [(Double, String)])
  func counts(value: Double, text: String) {
    #expect(DecimalText.count(value) == text)
  }
}
