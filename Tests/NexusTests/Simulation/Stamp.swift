import Glibc

/// What tests write: every 512-byte block holds one 64-bit value over and over, which says who wrote it and where.
enum Stamp {
  static let blockBytes = 512

  /// What a command leaves in a block; 0 is what zeroes leave.
  static func value(command: Int, block: Int) -> UInt64 { UInt64(command + 1) << 32 | UInt64(block) }

  static func describe(_ value: UInt64) -> String {
    value == 0 ? "zeros" : "command \(Int(value >> 32) - 1)'s block \(value & 0xFFFF_FFFF)"
  }

  static func fill(_ block: UnsafeMutableRawPointer, _ value: UInt64) {
    unsafe block.storeBytes(of: value, as: UInt64.self)
    var filled = 8
    while filled < blockBytes {
      unsafe memcpy(block + filled, block, filled)
      filled *= 2
    }
  }

  /// The value of a block; nil if it does not hold one value throughout.
  static func read(_ block: UnsafeRawPointer) -> UInt64? {
    unsafe memcmp(block, block + 8, blockBytes - 8) == 0 ? unsafe block.load(as: UInt64.self) : nil
  }
}
