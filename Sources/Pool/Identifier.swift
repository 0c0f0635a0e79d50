/// A UUID: 16 bytes, written in lower-case hexadecimal as 8-4-4-4-12 (RFC 9562, section 4).
public struct Identifier: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// The first eight bytes, most significant first.
  private let high: UInt64
  /// The last eight bytes, most significant first.
  private let low: UInt64

  public static let byteCount = 16
  /// Sixteen zero bytes: no object has it.
  public static let none = Identifier(high: 0, low: 0)

  private init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// A random identifier, version 4, from the kernel's generator (getrandom).
  public static func random() -> Identifier {
    var generator = SystemRandomNumberGenerator()
    return random(using: &generator)
  }

  /// A random identifier, version 4, from `generator`.
  public static func random(using generator: inout some RandomNumberGenerator) -> Identifier {
    let high = generator.next() & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
    let low = generator.next() & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
    return Identifier(high: high, low: low)
  }

  /// Reads the text form, in either case; nil if it is anything else.
  public init?(_ text: String) {
    let characters = Array(text.utf8)
    guard characters.count == 36 else { return nil }
    var nibbles = 0
    var halves: (UInt64, UInt64) = (0, 0)
    for (index, character) in characters.enumerated() {
      if index == 8 || index == 13 || index == 18 || index == 23 {
        guard character == UInt8(ascii: "-") else { return nil }
        continue
      }
      let value: UInt8
      switch character {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = character - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): value = character - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): value = character - UInt8(ascii: "A") + 10
      default: return nil
      }
      if nibbles < 16 { halves.0 = halves.0 << 4 | UInt64(value) } else { halves.1 = halves.1 << 4 | UInt64(value) }
      nibbles += 1
    }
    self.init(high: halves.0, low: halves.1)
  }

  /// Takes 16 bytes in the order of the text form; nil for any other count.
  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == Self.byteCount else { return nil }
    var halves: (UInt64, UInt64) = (0, 0)
    for (index, byte) in bytes.enumerated() {
      if index < 8 { halves.0 = halves.0 << 8 | UInt64(byte) } else { halves.1 = halves.1 << 8 | UInt64(byte) }
    }
    self.init(high: halves.0, low: halves.1)
  }

  /// The 16 bytes in the order of the text form.
  public var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.byteCount)
    for half in [high, low] { unsafe withUnsafeBytes(of: half.bigEndian) { unsafe bytes.append(contentsOf: $0) } }
    return bytes
  }

  public var description: String {
    var text = ""
    for (index, byte) in bytes.enumerated() {
      if index == 4 || index == 6 || index == 8 || index == 10 { text += "-" }
      if byte < 16 { text += "0" }
      text += String(byte, radix: 16)
    }
    return text
  }

  public static func < (left: Identifier, right: Identifier) -> Bool {
    left.high != right.high ? left.high < right.high : left.low < right.low
  }
}

/// The same under a name that can be said where `Pool` the class hides `Pool` the module.
public typealias PoolIdentifier = Identifier
