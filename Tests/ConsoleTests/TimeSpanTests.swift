import Testing

@testable import Console

@Suite struct TimeSpanTests {
  @Test(
    arguments: [
      ("10", 10_000_000_000), ("60s", 60_000_000_000), ("2m", 120_000_000_000), ("500ms", 500_000_000), ("100us", 100_000), ("7ns", 7),
      ("1h", 3_600_000_000_000), ("0", 0),
    ] as [(String, UInt64)])
  func spans(text: String, nanoseconds: UInt64) throws {
    #expect(try TimeSpan.parse(text) == nanoseconds)
  }

  @Test(
    arguments: [
      ("", .notATimeSpan), ("s", .notATimeSpan), ("1.5s", .notATimeSpan), ("-3s", .notATimeSpan), ("3 s", .notATimeSpan),
      ("9999999999h", .tooLarge), ("99999999999999999999s", .tooLarge),
    ] as [(String, TimeSpan.ParseError)])
  func refusals(text: String, failure: TimeSpan.ParseError) {
    #expect(throws: failure) { try TimeSpan.parse(text) }
  }

  @Test(
    arguments: [
      (850, "850 ns"), (12_345, "12.3 us"), (4_560_000, "4.56 ms"), (999_999_999, "1.00 s"), (10_000_000_000, "10.0 s"),
      (59_990_000_000, "1m 00s"), (200_000_000_000, "3m 20s"), (7_500_000_000_000, "2h 05m"),
    ] as [(UInt64, String)])
  func texts(nanoseconds: UInt64, text: String) {
    #expect(TimeSpan.text(nanoseconds: nanoseconds) == text)
  }
}
