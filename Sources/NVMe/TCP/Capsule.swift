/// The header of a command capsule, 72 bytes: common header and submission entry (NVMe/TCP Transport 1.0, 3.6.2.6).
@frozen public struct CapsuleCommandHeader: Equatable, Hashable, Sendable {
  @inlinable @inline(__always) public static var byteCount: Int { 72 }

  public var common: PDUCommonHeader
  /// Bytes 8–71.
  public var entry: SubmissionEntry

  /// A capsule with `inCapsuleLength` bytes of data after the header.
  @inlinable @inline(__always)
  public init(_ entry: SubmissionEntry, inCapsuleLength: UInt32 = 0, headerDigest: Bool, dataDigest: Bool, alignment: UInt32 = 4) {
    common = PDUCommonHeader(
      .capsuleCommand, dataLength: inCapsuleLength, headerDigest: headerDigest, dataDigest: dataDigest, alignment: alignment)
    self.entry = entry
  }

  @inlinable @inline(__always)
  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    common = try PDUCommonHeader(decoding: bytes, at: offset)
    if common.typeByte != PDUType.capsuleCommand.rawValue { throw .wrongType }
    entry = try SubmissionEntry(decoding: bytes, at: offset &+ 8)
  }

  @inlinable @inline(__always)
  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    common.encode(into: &bytes, at: offset)
    entry.encode(into: &bytes, at: offset &+ 8)
  }
}

/// A response capsule, 24 bytes: common header and completion entry (NVMe/TCP Transport 1.0, 3.6.2.7).
@frozen public struct CapsuleResponse: Equatable, Hashable, Sendable {
  @inlinable @inline(__always) public static var byteCount: Int { 24 }

  public var common: PDUCommonHeader
  /// Bytes 8–23.
  public var entry: CompletionEntry

  @inlinable @inline(__always)
  public init(_ entry: CompletionEntry, headerDigest: Bool) {
    common = PDUCommonHeader(.capsuleResponse, headerDigest: headerDigest, dataDigest: false)
    self.entry = entry
  }

  @inlinable @inline(__always)
  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    common = try PDUCommonHeader(decoding: bytes, at: offset)
    if common.typeByte != PDUType.capsuleResponse.rawValue { throw .wrongType }
    entry = try CompletionEntry(decoding: bytes, at: offset &+ 8)
  }

  @inlinable @inline(__always)
  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    common.encode(into: &bytes, at: offset)
    entry.encode(into: &bytes, at: offset &+ 8)
  }
}
