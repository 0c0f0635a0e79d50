import Glibc
import Reactor

/// One page of checksums as it is on the storage: a header of 64 bytes, then four bytes for each block.
@unsafe struct SumPage {
  static let magic: UInt64 = {
    var value: UInt64 = 0
    for byte in "KEELSUMS".utf8.reversed() { value = value << 8 | UInt64(byte) }
    return value
  }()
  static let headerBytes = 64

  let poolID: (UInt64, UInt64)

  init(poolID: Identifier) {
    let bytes = poolID.bytes
    unsafe self.poolID = unsafe bytes.withUnsafeBytes {
      unsafe ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    }
  }

  private static func checksum(_ page: UnsafeRawPointer) -> UInt32 {
    var crc = unsafe CRC32C.checksum(page, byteCount: 8)
    var zeros: UInt32 = 0
    crc = unsafe CRC32C.checksum(&zeros, byteCount: 4, continuing: crc)
    return unsafe CRC32C.checksum(page + 12, byteCount: SumArea.pageBytes - 12, continuing: crc)
  }

  /// Puts header and checksum around the sums, which are in their place.
  func seal(_ page: UnsafeMutableRawPointer, number: Int, sequence: UInt64) {
    unsafe memset(page, 0, Self.headerBytes)
    unsafe page.storeBytes(of: Self.magic.littleEndian, as: UInt64.self)
    unsafe page.storeBytes(of: poolID.0, toByteOffset: 16, as: UInt64.self)
    unsafe page.storeBytes(of: poolID.1, toByteOffset: 24, as: UInt64.self)
    unsafe page.storeBytes(of: UInt64(number).littleEndian, toByteOffset: 32, as: UInt64.self)
    unsafe page.storeBytes(of: sequence.littleEndian, toByteOffset: 40, as: UInt64.self)
    unsafe page.storeBytes(of: Self.checksum(page).littleEndian, toByteOffset: 8, as: UInt32.self)
  }

  enum Finding: Equatable {
    /// Zeros: never written.
    case blank
    case valid(sequence: UInt64)
    case damaged
  }

  /// What 4096 bytes are that should be page `number`.
  func examine(_ page: UnsafeRawPointer, number: Int) -> Finding {
    if unsafe page.load(as: UInt64.self) == 0, unsafe memcmp(page, ZeroBuffer.shared.base, SumArea.pageBytes) == 0 { return .blank }
    guard unsafe page.load(as: UInt64.self).littleEndian == Self.magic,
      unsafe page.load(fromByteOffset: 16, as: UInt64.self) == poolID.0,
      unsafe page.load(fromByteOffset: 24, as: UInt64.self) == poolID.1,
      unsafe page.load(fromByteOffset: 32, as: UInt64.self).littleEndian == UInt64(number),
      unsafe page.load(fromByteOffset: 8, as: UInt32.self).littleEndian == Self.checksum(page)
    else { return .damaged }
    let sequence = unsafe page.load(fromByteOffset: 40, as: UInt64.self).littleEndian
    return sequence > 0 && sequence < 1 << 62 ? .valid(sequence: sequence) : .damaged
  }

  /// Which of a page's two places counts. Nil if damage has left neither.
  static func choose(_ first: Finding, _ second: Finding) -> (place: Int, sequence: UInt64)? {
    switch (first, second) {
    case (.valid(let left), .valid(let right)): left > right ? (0, left) : (1, right)
    case (.valid(let left), _): (0, left)
    case (_, .valid(let right)): (1, right)
    // The first write of a page goes to its first place; torn, the second is still blank.
    case (.blank, .blank), (.damaged, .blank): (1, 0)
    case (.blank, .damaged), (.damaged, .damaged): nil
    }
  }
}
