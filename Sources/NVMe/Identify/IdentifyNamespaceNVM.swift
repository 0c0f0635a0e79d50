/// Identify Namespace specific to the NVM command set, CNS 05h, 4096 bytes (NVM Command Set 1.0, 4.1.5.3).
public struct IdentifyNamespaceNVM: Equatable, Sendable {
  public static let byteCount = 4096

  /// LBSTM, bytes 0–7.
  public var storageTagMask: UInt64 = 0
  /// PIC, byte 8.
  public var protectionCapabilities: UInt8 = 0
  /// ELBAF0 to ELBAF63, bytes 12–267: bits 6:0 storage tag size, 8:7 protection information format; all zero without protection.
  public var extendedFormats: [UInt32] = [UInt32](repeating: 0, count: 64)

  /// All fields zero or empty.
  public init() {}

  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    storageTagMask = bytes.littleEndian(at: offset + 0)
    protectionCapabilities = bytes.littleEndian(at: offset + 8)
    extendedFormats = []
    for index in 0..<64 { extendedFormats.append(bytes.littleEndian(at: offset + 12 + 4 * index)) }
  }

  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.zero(Self.byteCount, at: offset)
    bytes.storeLittleEndian(storageTagMask, at: offset + 0)
    bytes.storeLittleEndian(protectionCapabilities, at: offset + 8)
    precondition(extendedFormats.count == 64)
    for index in 0..<64 { bytes.storeLittleEndian(extendedFormats[index], at: offset + 12 + 4 * index) }
  }
}
