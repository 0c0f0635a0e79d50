/// Why bytes from outside could not be read as the structure they should be.
public enum CodecError: Error, Equatable, Sendable {
  /// Fewer bytes than the structure has.
  case truncated
  /// A field has a value its specification forbids, or a length inside the bytes points outside of them.
  case invalidField
  /// A PDU of another type than the one asked for.
  case wrongType
}

extension RawSpan {
  /// The little-endian integer at `offset` bytes. Stops the process when it is not wholly inside: decoders check lengths first.
  @inlinable @inline(__always)
  public func littleEndian<Value: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: Value.Type = Value.self) -> Value {
    precondition(offset >= 0 && offset <= byteCount &- MemoryLayout<Value>.size)
    return Value(littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: Value.self))
  }

  /// Throws unless `count` bytes from `offset` on are there. `offset` and `count` are our own, `byteCount` is the peer's doing.
  @inlinable @inline(__always)
  func require(_ count: Int, at offset: Int) throws(CodecError) {
    precondition(offset >= 0)
    if byteCount &- offset < count { throw .truncated }
  }
}

extension MutableRawSpan {
  /// Writes an integer in little-endian order at `offset` bytes. Stops the process when it would not be wholly inside.
  @inlinable @inline(__always)
  @_lifetime(self: copy self)
  public mutating func storeLittleEndian<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value, at offset: Int) {
    precondition(offset >= 0 && offset <= byteCount &- MemoryLayout<Value>.size)
    storeBytes(of: value.littleEndian, toByteOffset: offset, as: Value.self)
  }

  /// Writes zeros over `count` bytes from `offset` on.
  @inlinable
  @_lifetime(self: copy self)
  public mutating func zero(_ count: Int, at offset: Int) {
    precondition(offset >= 0 && count >= 0 && offset <= byteCount &- count)
    var position = offset
    let end = offset &+ count
    while position &+ 8 <= end {
      storeLittleEndian(UInt64(0), at: position)
      position &+= 8
    }
    while position < end {
      storeLittleEndian(UInt8(0), at: position)
      position &+= 1
    }
  }
}
