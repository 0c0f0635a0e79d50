import CLinux
import Glibc

/// CRC-32C (Castagnoli) as NVMe/TCP digests and on-disk checksums use it (RFC 3720 appendix B.4), by the processor's
/// instruction where it has one.
public enum CRC32C {
  /// Whether the machine computes it in hardware.
  public static let isHardware = keelson_has_crc32c() != 0

  /// The checksum of `byteCount` bytes, continuing `previous` (0 to start).
  public static func checksum(_ bytes: UnsafeRawPointer, byteCount: Int, continuing previous: UInt32 = 0) -> UInt32 {
    guard isHardware else { return unsafe software(bytes, byteCount: byteCount, continuing: previous) }
    var crc = ~previous
    var cursor = unsafe bytes.assumingMemoryBound(to: UInt8.self)
    var remaining = byteCount
    // The instruction has a latency of three cycles and a throughput of one: three streams at once, joined by shifting the
    // earlier ones over the later ones' length.
    while remaining >= 3 * Self.stride {
      var lanes = (UInt64(crc), UInt64(0), UInt64(0))
      unsafe withUnsafeMutableBytes(of: &lanes) { raw in
        unsafe keelson_crc32c_3x(raw.baseAddress!.assumingMemoryBound(to: UInt64.self), cursor, Self.stride)
      }
      crc = Self.shift(UInt32(truncatingIfNeeded: lanes.0)) ^ UInt32(truncatingIfNeeded: lanes.1)
      crc = Self.shift(crc) ^ UInt32(truncatingIfNeeded: lanes.2)
      unsafe cursor += 3 * Self.stride
      remaining -= 3 * Self.stride
    }
    return unsafe ~keelson_crc32c_run(crc, cursor, remaining)
  }

  /// The checksum of a span.
  public static func checksum(_ bytes: RawSpan, continuing previous: UInt32 = 0) -> UInt32 {
    unsafe bytes.withUnsafeBytes { raw in
      guard let base = raw.baseAddress else { return previous }
      return unsafe checksum(base, byteCount: raw.count, continuing: previous)
    }
  }

  /// One table step per byte; for machines without the instruction, and as the reference in tests.
  static func software(_ bytes: UnsafeRawPointer, byteCount: Int, continuing previous: UInt32) -> UInt32 {
    var crc = ~previous
    for index in 0..<byteCount {
      let byte = unsafe bytes.load(fromByteOffset: index, as: UInt8.self)
      crc = table[Int((crc ^ UInt32(byte)) & 0xFF)] ^ (crc >> 8)
    }
    return ~crc
  }

  /// Bytes per stream of the three-way loop: 3 × 1360 covers most of a 4 KiB block.
  private static let stride = 1360

  private static let polynomial: UInt32 = 0x82F6_3B78

  private static let table: [UInt32] = (0..<256).map { index in
    (0..<8).reduce(UInt32(index)) { crc, _ in crc & 1 != 0 ? (crc >> 1) ^ polynomial : crc >> 1 }
  }

  /// `shiftTables[k][b]`: the effect of `stride` zero bytes on byte `k` of a CRC register holding `b`; four lookups shift it.
  private static let shiftTables: [UInt32] = {
    var tables = [UInt32](repeating: 0, count: 1024)
    for lane in 0..<4 {
      for byte in 0..<256 {
        var crc = UInt32(byte) << UInt32(8 * lane)
        for _ in 0..<stride { crc = table[Int(crc & 0xFF)] ^ (crc >> 8) }
        tables[lane * 256 + byte] = crc
      }
    }
    return tables
  }()

  @inline(__always)
  private static func shift(_ crc: UInt32) -> UInt32 {
    shiftTables[Int(crc & 0xFF)] ^ shiftTables[256 + Int(crc >> 8 & 0xFF)] ^ shiftTables[512 + Int(crc >> 16 & 0xFF)]
      ^ shiftTables[768 + Int(crc >> 24)]
  }
}
