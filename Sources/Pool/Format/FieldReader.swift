/// Takes little-endian fields out of bytes from disk; reading past the end throws `tooShort`. Made for many small fields.
struct FieldReader {
  private let bytes: [UInt8]
  private(set) var position: Int
  private let end: Int

  /// Reads `range` of `bytes`.
  init(_ bytes: [UInt8], _ range: Range<Int>) {
    precondition(range.upperBound <= bytes.count)
    self.bytes = bytes
    position = range.lowerBound
    end = range.upperBound
  }

  var isAtEnd: Bool { position == end }

  mutating func byte() throws(FormatFlaw) -> UInt8 {
    guard position < end else { throw .tooShort }
    defer { position += 1 }
    return bytes[position]
  }

  mutating func number() throws(FormatFlaw) -> UInt32 {
    guard end - position >= 4 else { throw .tooShort }
    defer { position += 4 }
    return unsafe bytes.span.bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt32.self)
  }

  mutating func word() throws(FormatFlaw) -> UInt64 {
    guard end - position >= 8 else { throw .tooShort }
    defer { position += 8 }
    return unsafe bytes.span.bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self)
  }

  mutating func identifier() throws(FormatFlaw) -> Identifier {
    guard end - position >= Identifier.byteCount else { throw .tooShort }
    defer { position += Identifier.byteCount }
    guard let identifier = Identifier(bytes: bytes[position..<position + Identifier.byteCount]) else { throw .tooShort }
    return identifier
  }
}
