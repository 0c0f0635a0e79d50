import Glibc

/// What the workload writes: every 512-byte sector holds one 64-bit value over and over, which says who wrote it and where.
enum Stamp {
  static let sectorBytes = 512

  /// What an operation leaves in a sector; 0 is what zeroes leave.
  static func value(operation: Int, sector: Int) -> UInt64 { UInt64(operation + 1) << 32 | UInt64(sector) }

  static func describe(_ value: UInt64) -> String {
    value == 0 ? "zeros" : value == garbage ? "a mixture" : "operation \(Int(value >> 32) - 1)'s sector \(value & 0xFFFF_FFFF)"
  }

  /// What stands for bytes that are no stamp.
  static let garbage = UInt64.max

  static func fill(_ sector: UnsafeMutableRawPointer, _ value: UInt64) {
    unsafe sector.storeBytes(of: value, as: UInt64.self)
    var filled = 8
    while filled < sectorBytes {
      unsafe memcpy(sector + filled, sector, filled)
      filled *= 2
    }
  }

  /// The value of a sector; `garbage` if it does not hold one value throughout.
  static func read(_ sector: UnsafeRawPointer) -> UInt64 {
    unsafe memcmp(sector, sector + 8, sectorBytes - 8) == 0 ? sector.load(as: UInt64.self) : garbage
  }
}
