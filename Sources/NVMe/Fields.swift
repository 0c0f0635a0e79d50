extension RawSpan {
  /// The text of a field of `count` ASCII bytes padded with spaces or ended by a NUL. A peer's bytes other than printable ASCII
  /// become "?", so that the text can be shown and logged.
  func fixedText(at offset: Int, count: Int) -> String {
    var end = count
    for index in 0..<count where littleEndian(at: offset + index, as: UInt8.self) == 0 {
      end = index
      break
    }
    while end > 0 && littleEndian(at: offset + end - 1, as: UInt8.self) == 0x20 { end -= 1 }
    var text = ""
    for index in 0..<end {
      let byte = littleEndian(at: offset + index, as: UInt8.self)
      text.unicodeScalars.append(Unicode.Scalar((0x20...0x7E).contains(byte) ? byte : UInt8(ascii: "?")))
    }
    return text
  }
}

extension MutableRawSpan {
  /// Writes `text` as `count` ASCII bytes, left-justified and padded with spaces. Stops the process when it is longer.
  @_lifetime(self: copy self)
  mutating func storeFixedText(_ text: String, at offset: Int, count: Int) {
    precondition(text.utf8.count <= count)
    var position = offset
    for byte in text.utf8 {
      storeLittleEndian((0x20...0x7E).contains(byte) ? byte : UInt8(ascii: "?"), at: position)
      position += 1
    }
    while position < offset + count {
      storeLittleEndian(UInt8(ascii: " "), at: position)
      position += 1
    }
  }
}

extension FixedWidthInteger where Self: UnsignedInteger {
  /// `width` bits from bit `low` on.
  @inlinable
  func bits(_ low: Int, _ width: Int) -> Self { (self >> Self(low)) & ((Self(1) << Self(width)) &- 1) }

  /// Replaces `width` bits from bit `low` on; the value must fit.
  @inlinable
  mutating func setBits(_ low: Int, _ width: Int, _ value: Self) {
    let mask = (Self(1) << Self(width)) &- 1
    precondition(value <= mask)
    self = (self & ~(mask << Self(low))) | (value << Self(low))
  }
}
