/// A submission queue entry, 64 bytes (NVMe Base 2.0, 3.3.3.1, "Common Command Format").
///
/// The named fields are those every command has; `SubmissionEntry+Fields` reads the ones of each command out of the dwords.
@frozen public struct SubmissionEntry: Equatable, Hashable, Sendable {
  @inlinable @inline(__always) public static var byteCount: Int { 64 }

  /// Byte 0.
  public var opcode: UInt8
  /// Byte 1: FUSE in bits 1:0, PSDT in bits 7:6.
  public var flags: UInt8
  /// Bytes 2–3.
  public var commandIdentifier: UInt16
  /// Bytes 4–7. In a fabrics command byte 4 is the command type and the rest is reserved.
  public var namespaceIdentifier: UInt32
  public var dword2: UInt32
  public var dword3: UInt32
  /// Bytes 16–23.
  public var metadataPointer: UInt64
  /// Bytes 24–39.
  public var dataPointer: SGLDescriptor
  public var dword10: UInt32
  public var dword11: UInt32
  public var dword12: UInt32
  public var dword13: UInt32
  public var dword14: UInt32
  public var dword15: UInt32

  /// An entry with zeros in the fields not given. `flags` starts as PSDT 01b, which message-based transports require.
  @inlinable @inline(__always)
  public init(
    opcode: UInt8, flags: UInt8 = 0x40, commandIdentifier: UInt16, namespaceIdentifier: UInt32 = 0, dataPointer: SGLDescriptor = .none,
    dword10: UInt32 = 0, dword11: UInt32 = 0, dword12: UInt32 = 0, dword13: UInt32 = 0, dword14: UInt32 = 0, dword15: UInt32 = 0
  ) {
    self.opcode = opcode
    self.flags = flags
    self.commandIdentifier = commandIdentifier
    self.namespaceIdentifier = namespaceIdentifier
    dword2 = 0
    dword3 = 0
    metadataPointer = 0
    self.dataPointer = dataPointer
    self.dword10 = dword10
    self.dword11 = dword11
    self.dword12 = dword12
    self.dword13 = dword13
    self.dword14 = dword14
    self.dword15 = dword15
  }

  @inlinable @inline(__always)
  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    opcode = bytes.littleEndian(at: offset)
    flags = bytes.littleEndian(at: offset &+ 1)
    commandIdentifier = bytes.littleEndian(at: offset &+ 2)
    namespaceIdentifier = bytes.littleEndian(at: offset &+ 4)
    dword2 = bytes.littleEndian(at: offset &+ 8)
    dword3 = bytes.littleEndian(at: offset &+ 12)
    metadataPointer = bytes.littleEndian(at: offset &+ 16)
    dataPointer = try SGLDescriptor(decoding: bytes, at: offset &+ 24)
    dword10 = bytes.littleEndian(at: offset &+ 40)
    dword11 = bytes.littleEndian(at: offset &+ 44)
    dword12 = bytes.littleEndian(at: offset &+ 48)
    dword13 = bytes.littleEndian(at: offset &+ 52)
    dword14 = bytes.littleEndian(at: offset &+ 56)
    dword15 = bytes.littleEndian(at: offset &+ 60)
  }

  @inlinable @inline(__always)
  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.storeLittleEndian(opcode, at: offset)
    bytes.storeLittleEndian(flags, at: offset &+ 1)
    bytes.storeLittleEndian(commandIdentifier, at: offset &+ 2)
    bytes.storeLittleEndian(namespaceIdentifier, at: offset &+ 4)
    bytes.storeLittleEndian(dword2, at: offset &+ 8)
    bytes.storeLittleEndian(dword3, at: offset &+ 12)
    bytes.storeLittleEndian(metadataPointer, at: offset &+ 16)
    dataPointer.encode(into: &bytes, at: offset &+ 24)
    bytes.storeLittleEndian(dword10, at: offset &+ 40)
    bytes.storeLittleEndian(dword11, at: offset &+ 44)
    bytes.storeLittleEndian(dword12, at: offset &+ 48)
    bytes.storeLittleEndian(dword13, at: offset &+ 52)
    bytes.storeLittleEndian(dword14, at: offset &+ 56)
    bytes.storeLittleEndian(dword15, at: offset &+ 60)
  }
}
