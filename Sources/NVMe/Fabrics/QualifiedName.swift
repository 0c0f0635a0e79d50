/// An NVMe qualified name of a host or subsystem (NVMe Base 2.0, 4.5): at most 223 bytes of UTF-8 that begin with "nqn.".
///
/// Names with control characters are refused as well: they are for comparing, and for people to read.
public struct QualifiedName: Hashable, Sendable, CustomStringConvertible {
  /// The most bytes of a name, without the NUL that ends it.
  public static let maximumByteCount = 223
  /// Bytes of the field it is kept in.
  public static let fieldByteCount = 256

  /// The well-known name of every discovery service.
  public static let discovery = QualifiedName(known: "nqn.2014-08.org.nvmexpress.discovery")

  public let text: String

  /// nil if `text` is not a valid name.
  public init?(_ text: String) {
    guard Self.isValid(text) else { return nil }
    self.text = text
  }

  private init(known text: String) {
    precondition(Self.isValid(text))
    self.text = text
  }

  private static func isValid(_ text: String) -> Bool {
    var count = 0
    for byte in text.utf8 {
      count += 1
      if count > maximumByteCount || byte < 0x20 || byte == 0x7F { return false }
    }
    return count > 4 && text.utf8.starts(with: "nqn.".utf8)
  }

  public var description: String { text }

  /// Decodes a field of 256 bytes: valid UTF-8, ended by a NUL.
  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.fieldByteCount, at: offset)
    var content: [UInt8] = []
    for index in 0...Self.maximumByteCount {
      let byte = bytes.littleEndian(at: offset + index, as: UInt8.self)
      if byte == 0 { break }
      content.append(byte)
    }
    guard content.count <= Self.maximumByteCount, let text = String(validating: content, as: UTF8.self),
      let name = QualifiedName(text)
    else { throw .invalidField }
    self = name
  }

  /// Encodes a field of 256 bytes, the rest NULs.
  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.zero(Self.fieldByteCount, at: offset)
    var position = offset
    for byte in text.utf8 {
      bytes.storeLittleEndian(byte, at: position)
      position += 1
    }
  }
}
