import Testing

@testable import Protobuf

/// Bytes nobody sane would send: decoding ends with a message or an error, and what was decoded is stable.
@Suite struct WireFuzzTests {
  @Test func `random bytes never harm`() {
    var random = Xorshift(state: 0x9E37_79B9_7F4A_7C15)
    var decodedCount = 0
    for _ in 0..<20_000 {
      let bytes = (0..<Int.random(in: 0...40, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
      if Self.isStable(bytes) { decodedCount += 1 }
    }
    #expect(decodedCount > 100)
  }

  @Test func `damaged messages never harm`() {
    var random = Xorshift(state: 42)
    let original = Sample.full.encoded()
    var decodedCount = 0
    for _ in 0..<20_000 {
      var bytes = original
      for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
        let index = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes.remove(at: index)
        case 2: bytes.insert(UInt8.random(in: 0...255, using: &random), at: index)
        default: bytes.removeSubrange(index...)
        }
      }
      if Self.isStable(bytes) { decodedCount += 1 }
    }
    #expect(decodedCount > 1_000)
  }

  /// True if the bytes are a message; then its own bytes give the same message, even where it holds what is not a number.
  private static func isStable(_ bytes: [UInt8]) -> Bool {
    guard let message = try? Sample(decoding: bytes, limits: ProtobufLimits(maximumDepth: 8, maximumFields: 1_000)) else { return false }
    let encoded = message.encoded()
    let again = try? Sample(decoding: encoded)
    #expect(again?.encoded() == encoded)
    return true
  }
}

/// A small generator, so that a failing run can be repeated.
struct Xorshift: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }
}
