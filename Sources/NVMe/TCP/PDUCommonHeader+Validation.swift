/// What is wrong with a PDU, in the terms of a termination request.
@frozen public struct PDUFault: Error, Equatable, Hashable, Sendable {
  /// FES.
  public var status: FatalErrorStatus
  /// FEI: for an invalid field or an unsupported parameter its offset in bytes in the PDU; for a header digest error the digest received.
  public var information: UInt32

  @inlinable
  public init(_ status: FatalErrorStatus, information: UInt32) {
    self.status = status
    self.information = information
  }

  /// An invalid header field at `offset` bytes.
  @inlinable
  public static func invalidField(at offset: UInt32) -> PDUFault { PDUFault(.invalidHeaderField, information: offset) }
}

extension PDUCommonHeader {
  /// Offsets of the header's fields in bytes, for FEI.
  @usableFromInline enum FieldOffset {
    @inlinable @inline(__always) static var type: UInt32 { 0 }
    @inlinable @inline(__always) static var flags: UInt32 { 1 }
    @inlinable @inline(__always) static var headerLength: UInt32 { 2 }
    @inlinable @inline(__always) static var dataOffset: UInt32 { 3 }
    @inlinable @inline(__always) static var totalLength: UInt32 { 4 }
  }

  /// The first fault of a header that came in `direction`, or nil for a header whose lengths and flags can be relied on:
  /// the type belongs to the direction, HLEN is the type's, digest flags are as negotiated, PLEN and PDO agree, and the data are at most
  /// `maximumDataLength` bytes (`maximumCapsuleDataLength` for data in a command capsule, where that differs).
  ///
  /// `alignment` is the receiver's data alignment in bytes: 4 × (CPDA or HPDA + 1).
  /// Whether this PDU may come now is for the connection's state to say.
  @inlinable
  public func validate(
    direction: PDUDirection, headerDigest: Bool, dataDigest: Bool, maximumDataLength: UInt32, maximumCapsuleDataLength: UInt32? = nil,
    alignment: UInt32 = 4
  ) -> PDUFault? {
    guard let type, type.direction == direction else { return .invalidField(at: FieldOffset.type) }
    if headerLength != type.headerLength { return .invalidField(at: FieldOffset.headerLength) }
    switch type {
    case .initializeConnectionRequest, .initializeConnectionResponse:
      if flags != 0 { return .invalidField(at: FieldOffset.flags) }
      return totalLength == UInt32(headerLength) ? nil : .invalidField(at: FieldOffset.totalLength)
    case .hostToControllerTermination, .controllerToHostTermination:
      if flags != 0 { return .invalidField(at: FieldOffset.flags) }
      let most = UInt32(headerLength) &+ UInt32(TerminationRequest.maximumDataByteCount)
      return totalLength >= UInt32(headerLength) && totalLength <= most ? nil : .invalidField(at: FieldOffset.totalLength)
    case .capsuleResponse, .readyToTransfer:
      if flags != (headerDigest ? PDUFlags.headerDigest : 0) { return .invalidField(at: FieldOffset.flags) }
      return totalLength == UInt32(headerLength) &+ (headerDigest ? 4 : 0) ? nil : .invalidField(at: FieldOffset.totalLength)
    case .capsuleCommand:
      return dataFault(
        knownFlags: 0, required: false, headerDigest, dataDigest, maximumCapsuleDataLength ?? maximumDataLength, alignment, direction)
    case .hostToControllerData:
      return dataFault(knownFlags: PDUFlags.lastPDU, required: true, headerDigest, dataDigest, maximumDataLength, alignment, direction)
    case .controllerToHostData:
      // Success says that no response follows, which only the last PDU can say.
      if flags & (PDUFlags.lastPDU | PDUFlags.success) == PDUFlags.success { return .invalidField(at: FieldOffset.flags) }
      return dataFault(
        knownFlags: PDUFlags.lastPDU | PDUFlags.success, required: true, headerDigest, dataDigest, maximumDataLength, alignment, direction)
    }
  }

  /// The fault of a PDU that may carry data, or must (`required`).
  @inlinable
  func dataFault(
    knownFlags: UInt8, required: Bool, _ headerDigest: Bool, _ dataDigest: Bool, _ maximumDataLength: UInt32, _ alignment: UInt32,
    _ direction: PDUDirection
  ) -> PDUFault? {
    let headerEnd = UInt32(headerLength) &+ (headerDigest ? 4 : 0)
    if totalLength < headerEnd { return .invalidField(at: FieldOffset.totalLength) }
    let hasData = totalLength > headerEnd
    if required && !hasData { return .invalidField(at: FieldOffset.totalLength) }
    let digests = (headerDigest ? PDUFlags.headerDigest : 0) | (hasData && dataDigest ? PDUFlags.dataDigest : 0)
    if flags & ~knownFlags != digests { return .invalidField(at: FieldOffset.flags) }
    if !hasData { return nil }
    let start = UInt32(dataOffset)
    // The usual alignment without a division.
    let isAligned = alignment == 4 ? start & 0x3 == 0 : start % alignment == 0
    if start < headerEnd || !isAligned { return .invalidField(at: FieldOffset.dataOffset) }
    let overhead = start &+ (dataDigest ? 4 : 0)
    if totalLength <= overhead { return .invalidField(at: FieldOffset.totalLength) }
    if totalLength &- overhead > maximumDataLength {
      // Status 05h means the data limit only when a controller sends it; from a host it means the R2T limit.
      let status: FatalErrorStatus = direction == .hostToController ? .limitExceeded : .dataTransferOutOfRange
      return PDUFault(status, information: FieldOffset.totalLength)
    }
    return nil
  }
}
