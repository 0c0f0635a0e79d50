/// The Namespace Identification Descriptor list, CNS 03h, 4096 bytes (NVMe Base 2.0, 5.17.2.3).
public struct NamespaceDescriptors: Equatable, Sendable {
  public static let byteCount = 4096

  /// NIDT 1, 8 bytes.
  public var eui64: UInt64?
  /// NIDT 2, 16 bytes: NGUID.
  public var guid: Identifier128?
  /// NIDT 3, 16 bytes.
  public var uuid: Identifier128?
  /// NIDT 4, 1 byte: CSI.
  public var commandSet: UInt8?

  public init(eui64: UInt64? = nil, guid: Identifier128? = nil, uuid: Identifier128? = nil, commandSet: UInt8? = nil) {
    self.eui64 = eui64
    self.guid = guid
    self.uuid = uuid
    self.commandSet = commandSet
  }

  /// Decodes descriptors up to one of type or length 0, or the end. Types not known are passed over; a known type of another length
  /// than its own, and a descriptor that runs over the end, are refused.
  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    let end = offset + Self.byteCount
    var position = offset
    while position + 4 <= end {
      let type: UInt8 = bytes.littleEndian(at: position)
      let length = Int(bytes.littleEndian(at: position + 1, as: UInt8.self))
      if type == 0 || length == 0 { return }
      let value = position + 4
      if value + length > end { throw .invalidField }
      switch (type, length) {
      case (1, 8): eui64 = bytes.littleEndian(at: value, as: UInt64.self).byteSwapped
      case (2, 16): guid = try Identifier128(decoding: bytes, at: value)
      case (3, 16): uuid = try Identifier128(decoding: bytes, at: value)
      case (4, 1): commandSet = bytes.littleEndian(at: value)
      case (1...4, _): throw .invalidField
      default: break
      }
      position = value + length
    }
  }

  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.zero(Self.byteCount, at: offset)
    var position = offset
    if let eui64 {
      Self.encodeHead(type: 1, length: 8, into: &bytes, at: &position)
      bytes.storeLittleEndian(eui64.byteSwapped, at: position)
      position += 8
    }
    if let guid {
      Self.encodeHead(type: 2, length: 16, into: &bytes, at: &position)
      guid.encode(into: &bytes, at: position)
      position += 16
    }
    if let uuid {
      Self.encodeHead(type: 3, length: 16, into: &bytes, at: &position)
      uuid.encode(into: &bytes, at: position)
      position += 16
    }
    if let commandSet {
      Self.encodeHead(type: 4, length: 1, into: &bytes, at: &position)
      bytes.storeLittleEndian(commandSet, at: position)
    }
  }

  private static func encodeHead(type: UInt8, length: UInt8, into bytes: inout MutableRawSpan, at position: inout Int) {
    bytes.storeLittleEndian(type, at: position)
    bytes.storeLittleEndian(length, at: position + 1)
    position += 4
  }
}
