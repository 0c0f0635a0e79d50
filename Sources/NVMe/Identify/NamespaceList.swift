/// A list of namespace identifiers, 4096 bytes: CNS 02h and 07h, and the Changed Namespace List log, LID 04h
/// (NVMe Base 2.0, 5.17.2.2, "Namespace List Format", and 5.16.1.5).
public enum NamespaceList {
  public static let byteCount = 4096
  public static let maximumCount = 1024

  /// Encodes those of `identifiers` (ascending, no zero) that are greater than `after`, 1024 at most; the rest is zero.
  public static func encode(_ identifiers: [UInt32], after: UInt32 = 0, into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.zero(byteCount, at: offset)
    var count = 0
    var previous: UInt32 = 0
    for identifier in identifiers {
      precondition(identifier > previous)
      previous = identifier
      if identifier <= after { continue }
      if count == maximumCount { break }
      bytes.storeLittleEndian(identifier, at: offset + 4 * count)
      count += 1
    }
  }

  /// Encodes the log of changed namespaces: FFFFFFFFh alone stands for more than 1024 of them.
  public static func encodeChanged(_ identifiers: [UInt32], into bytes: inout MutableRawSpan, at offset: Int = 0) {
    if identifiers.count <= maximumCount {
      encode(identifiers, into: &bytes, at: offset)
    } else {
      bytes.zero(byteCount, at: offset)
      bytes.storeLittleEndian(NamespaceIdentifier.broadcast, at: offset)
    }
  }

  /// The identifiers up to the first zero, 1024 at most. They must ascend.
  public static func decode(_ bytes: RawSpan, at offset: Int = 0) throws(CodecError) -> [UInt32] {
    try bytes.require(byteCount, at: offset)
    var identifiers: [UInt32] = []
    var previous: UInt32 = 0
    for index in 0..<maximumCount {
      let identifier: UInt32 = bytes.littleEndian(at: offset + 4 * index)
      if identifier == 0 { break }
      if identifier <= previous { throw .invalidField }
      previous = identifier
      identifiers.append(identifier)
    }
    return identifiers
  }
}
