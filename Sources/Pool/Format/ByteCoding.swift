/// Builds a record of little-endian fields.
struct ByteWriter {
  private(set) var bytes: [UInt8] = []

  mutating func append(_ value: some FixedWidthInteger & UnsignedInteger) {
    unsafe withUnsafeBytes(of: value.littleEndian) { unsafe bytes.append(contentsOf: $0) }
  }

  /// A kind byte and numbers.
  mutating func append(kind: UInt8, _ numbers: UInt32...) {
    append(kind)
    for number in numbers { append(number) }
  }

  mutating func append(_ identifier: Identifier) { bytes += identifier.bytes }

  mutating func append(bytes more: some Sequence<UInt8>) { bytes += more }

  /// Adds zeros up to `count` bytes.
  mutating func pad(to count: Int) {
    precondition(bytes.count <= count)
    bytes += repeatElement(0, count: count - bytes.count)
  }

  /// Puts a value over four bytes already written.
  mutating func replace(at offset: Int, with value: UInt32) {
    for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(8 * index)) }
  }
}

/// Takes a record of little-endian fields apart; reading past its end throws `tooShort`.
struct ByteReader {
  private let bytes: ArraySlice<UInt8>
  private var position: Int

  init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    position = bytes.startIndex
  }

  var remaining: Int { bytes.endIndex - position }

  mutating func read<Value: FixedWidthInteger & UnsignedInteger>(_ type: Value.Type) throws(FormatFlaw) -> Value {
    let field = try take(Value.bitWidth / 8)
    var value: Value = 0
    for byte in field.reversed() { value = value << 8 | Value(byte) }
    return value
  }

  mutating func readIdentifier() throws(FormatFlaw) -> Identifier {
    guard let identifier = Identifier(bytes: try take(Identifier.byteCount)) else { throw .tooShort }
    return identifier
  }

  mutating func take(_ count: Int) throws(FormatFlaw) -> ArraySlice<UInt8> {
    guard count >= 0, count <= remaining else { throw .tooShort }
    defer { position += count }
    return bytes[position..<position + count]
  }
}

/// What is wrong with bytes that should be a superblock or other metadata.
enum FormatFlaw: Error, CaseIterable {
  case wrongMagic
  case wrongChecksum
  case tooShort
  case newerVersion
  case olderVersion
  case unknownFeatures
  case impossibleLayout
  case wrongPool
  case wrongCount
  case wrongPlace
  case unknownEntry
  case impossibleEntry
  case unknownLayer
  case brokenChain
  case missingRecords
  case duplicateReplica
  case impossibleReplica
  case extentOutside
  case extentsOverlap

  var explanation: String {
    switch self {
    case .wrongMagic: "no magic number"
    case .wrongChecksum: "wrong checksum"
    case .tooShort: "cut off"
    case .newerVersion: "newer version"
    case .olderVersion: "older version"
    case .unknownFeatures: "unknown features"
    case .impossibleLayout: "impossible layout"
    case .wrongPool: "of another pool"
    case .wrongCount: "counts that do not agree"
    case .wrongPlace: "not where it belongs"
    case .unknownEntry: "an entry of an unknown kind"
    case .impossibleEntry: "an impossible entry"
    case .unknownLayer: "a layer that does not exist"
    case .brokenChain: "not the successor of its predecessor"
    case .missingRecords: "records that were durable are missing"
    case .duplicateReplica: "a replica twice"
    case .impossibleReplica: "an impossible replica"
    case .extentOutside: "clusters outside of the pool"
    case .extentsOverlap: "clusters that belong to two replicas"
    }
  }
}
