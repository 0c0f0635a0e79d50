import Pool
import Reactor

/// Why bytes are no message.
public enum MessageFlaw: Error, Equatable, Sendable {
  /// Fewer bytes than the message says it has, or more.
  case wrongLength
  case wrongVersion(UInt8)
  case unknownKind(UInt8)
  case wrongChecksum
  /// A field has a value it cannot have.
  case impossibleField
  /// What is to be said takes more than a message may have.
  case tooLong
}

/// The envelope of every message between a nexus and a replica's gate (`PROTOCOL.md`, "Wire").
///
/// | bytes | field |
/// | --- | --- |
/// | 0 | version, 1 |
/// | 1 | kind |
/// | 2–3 | zero |
/// | 4–7 | byte count of the message, these included |
/// | 8–11 | CRC-32C of the message with zeros here |
///
/// Numbers are little-endian, identifiers 16 bytes in the order of their text.
enum MessageEnvelope {
  static let version: UInt8 = 1
  static let byteCount = 12
  static let checksumOffset = 8
}

struct MessageWriter {
  private(set) var bytes: [UInt8]

  init(kind: UInt8) {
    bytes = [MessageEnvelope.version, kind]
    bytes += [UInt8](repeating: 0, count: MessageEnvelope.byteCount - 2)
  }

  mutating func append(_ value: UInt8) { bytes.append(value) }
  mutating func append(_ value: UInt32) {
    for shift in stride(from: 0, to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
  }
  mutating func append(_ value: UInt64) {
    for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
  }
  mutating func append(_ value: Bool) { bytes.append(value ? 1 : 0) }
  mutating func append(_ value: Identifier) { bytes += value.bytes }
  mutating func append(raw value: [UInt8]) { bytes += value }

  /// Shortened to what a message takes, at the border of a character.
  mutating func append(_ text: String) {
    var utf8: [UInt8] = []
    for character in text {
      let more = Array(String(character).utf8)
      if utf8.count + more.count > MessageReader.maximumTextBytes { break }
      utf8 += more
    }
    append(UInt32(utf8.count))
    bytes += utf8
  }

  /// Fills in the envelope.
  func sealed() -> [UInt8] {
    var sealed = bytes
    Self.store(UInt32(bytes.count), at: 4, in: &sealed)
    Self.store(Self.checksum(sealed), at: MessageEnvelope.checksumOffset, in: &sealed)
    return sealed
  }

  static func store(_ value: UInt32, at offset: Int, in bytes: inout [UInt8]) {
    for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(8 * index)) }
  }

  /// Over everything, with zeros where the checksum is.
  static func checksum(_ bytes: [UInt8]) -> UInt32 {
    var plain = bytes
    store(0, at: MessageEnvelope.checksumOffset, in: &plain)
    return unsafe plain.withUnsafeBytes { unsafe CRC32C.checksum($0.baseAddress!, byteCount: $0.count) }
  }
}

/// Reads a message; everything in it is somebody else's doing.
struct MessageReader {
  static let maximumTextBytes = 1024
  /// Regions in one message: 64 TiB in regions of 4 MiB. Bounds the memory that a few bytes can ask for.
  static let maximumRegions = 1 << 24

  let kind: UInt8
  private let bytes: [UInt8]
  private var position = MessageEnvelope.byteCount
  private var regionsLeft = MessageReader.maximumRegions

  init(_ bytes: [UInt8]) throws(MessageFlaw) {
    guard bytes.count >= MessageEnvelope.byteCount else { throw .wrongLength }
    guard bytes[0] == MessageEnvelope.version else { throw .wrongVersion(bytes[0]) }
    self.bytes = bytes
    kind = bytes[1]
    guard Self.number(bytes, 4) == UInt32(clamping: bytes.count) else { throw .wrongLength }
    guard bytes[2] == 0, bytes[3] == 0 else { throw .impossibleField }
    guard Self.number(bytes, MessageEnvelope.checksumOffset) == MessageWriter.checksum(bytes) else { throw .wrongChecksum }
  }

  var remaining: Int { bytes.count - position }

  private static func number(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
    (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
  }

  private mutating func take(_ count: Int) throws(MessageFlaw) -> Int {
    guard count <= remaining else { throw .wrongLength }
    position += count
    return position - count
  }

  mutating func byte() throws(MessageFlaw) -> UInt8 { bytes[try take(1)] }
  mutating func number() throws(MessageFlaw) -> UInt32 { Self.number(bytes, try take(4)) }

  mutating func word() throws(MessageFlaw) -> UInt64 {
    let start = try take(8)
    return UInt64(Self.number(bytes, start)) | UInt64(Self.number(bytes, start + 4)) << 32
  }

  mutating func flag() throws(MessageFlaw) -> Bool {
    switch try byte() {
    case 0: return false
    case 1: return true
    default: throw .impossibleField
    }
  }

  mutating func identifier() throws(MessageFlaw) -> Identifier {
    let start = try take(Identifier.byteCount)
    guard let identifier = Identifier(bytes: bytes[start..<start + Identifier.byteCount]) else { throw .impossibleField }
    return identifier
  }

  mutating func text() throws(MessageFlaw) -> String {
    let count = Int(try number())
    guard count <= Self.maximumTextBytes else { throw .impossibleField }
    let start = try take(count)
    guard let text = String(validating: bytes[start..<start + count], as: UTF8.self) else { throw .impossibleField }
    return text
  }

  /// A count and that many bytes.
  mutating func bytes(atMost limit: Int) throws(MessageFlaw) -> [UInt8] {
    let count = try count(ofBytes: 1, atMost: limit)
    let start = try take(count)
    return Array(bytes[start..<start + count])
  }

  /// How many of something that takes `byteCount` bytes each follow; no more than there are bytes for.
  mutating func count(ofBytes byteCount: Int, atMost limit: Int = .max) throws(MessageFlaw) -> Int {
    let count = Int(try number())
    guard count <= limit else { throw .impossibleField }
    guard count <= remaining / byteCount else { throw .wrongLength }
    return count
  }

  /// Counts regions against what a message may hold.
  mutating func spend(regions count: Int) throws(MessageFlaw) {
    guard count <= regionsLeft else { throw .tooLong }
    regionsLeft -= count
  }

  /// Nothing may be left over.
  func finish() throws(MessageFlaw) { if remaining != 0 { throw .wrongLength } }
}
