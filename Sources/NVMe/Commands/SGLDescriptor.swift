/// A scatter-gather list descriptor, 16 bytes (NVMe Base 2.0, 4.1.2, "SGL Descriptor").
///
/// Over NVMe/TCP two kinds are in use: an offset into the capsule's own data, and the transport data block, whose bytes travel in
/// data PDUs. Every other kind is kept as it came, so that it can be named and refused.
@frozen public struct SGLDescriptor: Equatable, Hashable, Sendable {
  @inlinable @inline(__always) public static var byteCount: Int { 16 }

  /// Bytes 0–7: an address, or for in-capsule data the offset in bytes from the start of the capsule's data.
  public var address: UInt64
  /// Bytes 8–15 as they stand: the length in bits 31:0, reserved bits, the type and subtype in bits 63:56.
  public var lengthAndType: UInt64

  @inlinable @inline(__always)
  public init(address: UInt64, length: UInt32, typeAndSubtype: UInt8) {
    self.address = address
    lengthAndType = UInt64(length) | UInt64(typeAndSubtype) << 56
  }

  /// What a descriptor is, by its type and subtype.
  @frozen public enum Kind: UInt8, Sendable {
    /// 00h: an address in host memory; not for message-based transports.
    case dataBlockAddress
    /// 01h: an offset into in-capsule data.
    case dataBlockOffset
    case bitBucket
    case segment
    case lastSegment
    /// 4xh: keyed data blocks, for RDMA.
    case keyedDataBlock
    /// 5Ah: the data travels in the transport's data PDUs.
    case transportDataBlock
    case vendorSpecific
    case reserved
  }

  /// Length of the data in bytes.
  @inlinable @inline(__always)
  public var length: UInt32 {
    get { UInt32(truncatingIfNeeded: lengthAndType) }
    set { lengthAndType = lengthAndType & ~0xFFFF_FFFF | UInt64(newValue) }
  }

  /// Byte 15: the type in bits 7:4, the subtype in bits 3:0.
  @inlinable @inline(__always)
  public var typeAndSubtype: UInt8 {
    get { UInt8(truncatingIfNeeded: lengthAndType >> 56) }
    set { lengthAndType = lengthAndType & 0x00FF_FFFF_FFFF_FFFF | UInt64(newValue) << 56 }
  }

  @inlinable
  public var kind: Kind {
    switch (typeAndSubtype >> 4, typeAndSubtype & 0xF) {
    case (0x0, 0x0): .dataBlockAddress
    case (0x0, 0x1): .dataBlockOffset
    case (0x1, 0x0): .bitBucket
    case (0x2, 0x0), (0x2, 0x1): .segment
    case (0x3, 0x0), (0x3, 0x1): .lastSegment
    case (0x4, 0x0), (0x4, 0xF): .keyedDataBlock
    case (0x5, 0xA): .transportDataBlock
    case (0xF, _): .vendorSpecific
    default: .reserved
    }
  }

  @inlinable @inline(__always)
  public var isInCapsule: Bool { typeAndSubtype == 0x01 }

  @inlinable @inline(__always)
  public var isTransportDataBlock: Bool { typeAndSubtype == 0x5A }

  /// `length` bytes in the command capsule itself, from `offset` bytes into its data.
  @inlinable @inline(__always)
  public static func inCapsule(offset: UInt64 = 0, length: UInt32) -> SGLDescriptor {
    SGLDescriptor(address: offset, length: length, typeAndSubtype: 0x01)
  }

  /// `length` bytes that travel in data PDUs.
  @inlinable @inline(__always)
  public static func transportDataBlock(length: UInt32) -> SGLDescriptor {
    SGLDescriptor(address: 0, length: length, typeAndSubtype: 0x5A)
  }

  /// No data: a transport data block of length 0.
  @inlinable @inline(__always)
  public static var none: SGLDescriptor { transportDataBlock(length: 0) }

  @inlinable @inline(__always)
  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    address = bytes.littleEndian(at: offset)
    lengthAndType = bytes.littleEndian(at: offset &+ 8)
  }

  @inlinable @inline(__always)
  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.storeLittleEndian(address, at: offset)
    bytes.storeLittleEndian(lengthAndType, at: offset &+ 8)
  }
}
