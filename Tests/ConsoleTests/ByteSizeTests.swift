import Testing

@testable import Console

@Suite struct ByteSizeTests {
  @Test(
    arguments: [
      ("0", 0), ("4096", 4096), ("512B", 512), ("4k", 4096), ("4K", 4096), ("4KiB", 4096), ("1m", 1 << 20), ("512MiB", 512 << 20),
      ("1GiB", 1 << 30), ("20GiB", 20 << 30), ("2t", 2 << 40), ("1PiB", 1 << 50), ("9223372036854775807", UInt64(Int64.max)),
    ] as [(String, UInt64)])
  func sizes(text: String, bytes: UInt64) throws {
    #expect(try ByteSize.parse(text) == bytes)
  }

  @Test(
    arguments: [
      ("", .notASize), ("k", .notASize), ("-1", .notASize), ("1.5GiB", .notASize), ("4 k", .notASize), ("4x", .notASize), ("٤k", .notASize),
      ("1MB", .decimalUnit), ("1gb", .decimalUnit), ("8192PiB", .tooLarge), ("9223372036854775808", .tooLarge),
      ("99999999999999999999999", .tooLarge),
    ] as [(String, ByteSize.ParseError)])
  func refusals(text: String, failure: ByteSize.ParseError) {
    #expect(throws: failure) { try ByteSize.parse(text) }
  }

  @Test(
    arguments: [
      (0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (1 << 20, "1 MiB"), (20 << 30, "20 GiB"),
      ((1 << 20) - 1, "1 MiB"), (UInt64.max, "16 EiB"), (12_345_678, "11.8 MiB"),
    ] as [(UInt64, String)])
  func texts(bytes: UInt64, text: String) {
    #expect(ByteSize.text(bytes) == text)
  }
}
