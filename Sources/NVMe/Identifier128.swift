/// A 16-byte identifier in the order of its bytes: a host identifier, UUID, NGUID or FGUID.
@frozen public struct Identifier128: Hashable, Sendable, CustomStringConvertible {
  @inlinable @inline(__always) public static var byteCount: Int { 16 }

  /// Bytes 0–7, byte 0 in the highest bits.
  public var high: UInt64
  /// Bytes 8–15, byte 8 in the highest bits.
  public var low: UInt64

  @inlinable
  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  @inlinable public static var zero: Identifier128 { Identifier128(high: 0, low: 0) }

  @inlinable public var isZero: Bool { high == 0 && low == 0 }

  /// Reads 32 hexadecimal digits, hyphens ignored; nil for anything else.
  public init?(_ text: String) {
    high = 0
    low = 0
    var digits = 0
    for character in text.utf8 {
      if character == UInt8(ascii: "-") { continue }
      guard digits < 32, let digit = Character(Unicode.Scalar(character)).hexDigitValue else { return nil }
      if digits < 16 { high = high << 4 | UInt64(digit) } else { low = low << 4 | UInt64(digit) }
      digits += 1
    }
    if digits != 32 { return nil }
  }

  /// As a UUID: 8-4-4-4-12 lower-case hexadecimal digits.
  public var description: String {
    var text = ""
    for index in 0..<32 {
      if index == 8 || index == 12 || index == 16 || index == 20 { text += "-" }
      let word = index < 16 ? high : low
      text += String(word >> UInt64(60 - index % 16 * 4) & 0xF, radix: 16)
    }
    return text
  }

  @inlinable
  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    high = bytes.littleEndian(at: offset, as: UInt64.self).byteSwapped
    low = bytes.littleEndian(at: offset &+ 8, as: UInt64.self).byteSwapped
  }

  @inlinable
  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.storeLittleEndian(high.byteSwapped, at: offset)
    bytes.storeLittleEndian(low.byteSwapped, at: offset &+ 8)
  }
}
