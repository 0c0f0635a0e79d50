/// Builds a message's bytes. A value at its default (0, false, empty) is left out, as proto3 does; `keepsDefault` sends it all the same,
/// for members of a `oneof` and `optional` fields, whose presence says something.
public struct WireWriter {
  public private(set) var bytes: [UInt8] = []

  public init() {}

  public mutating func uint64(_ number: Int, _ value: UInt64, keepsDefault: Bool = false) {
    if value == 0, !keepsDefault { return }
    tag(number, .varint)
    varint(value)
  }

  public mutating func int64(_ number: Int, _ value: Int64, keepsDefault: Bool = false) {
    uint64(number, UInt64(bitPattern: value), keepsDefault: keepsDefault)
  }

  /// Also for enums. Negative numbers take ten bytes, as the format says.
  public mutating func int32(_ number: Int, _ value: Int32, keepsDefault: Bool = false) {
    int64(number, Int64(value), keepsDefault: keepsDefault)
  }

  public mutating func uint32(_ number: Int, _ value: UInt32, keepsDefault: Bool = false) {
    uint64(number, UInt64(value), keepsDefault: keepsDefault)
  }

  public mutating func bool(_ number: Int, _ value: Bool, keepsDefault: Bool = false) {
    uint64(number, value ? 1 : 0, keepsDefault: keepsDefault)
  }

  /// A `sint64`: zig-zag.
  public mutating func signed64(_ number: Int, _ value: Int64, keepsDefault: Bool = false) {
    uint64(number, UInt64(bitPattern: (value << 1) ^ (value >> 63)), keepsDefault: keepsDefault)
  }

  public mutating func fixed64(_ number: Int, _ value: UInt64, keepsDefault: Bool = false) {
    if value == 0, !keepsDefault { return }
    tag(number, .fixed64)
    littleEndian(value, byteCount: 8)
  }

  public mutating func fixed32(_ number: Int, _ value: UInt32, keepsDefault: Bool = false) {
    if value == 0, !keepsDefault { return }
    tag(number, .fixed32)
    littleEndian(UInt64(value), byteCount: 4)
  }

  public mutating func double(_ number: Int, _ value: Double, keepsDefault: Bool = false) {
    fixed64(number, value.bitPattern, keepsDefault: keepsDefault)
  }

  public mutating func float(_ number: Int, _ value: Float, keepsDefault: Bool = false) {
    fixed32(number, value.bitPattern, keepsDefault: keepsDefault)
  }

  public mutating func bytes(_ number: Int, _ value: some Collection<UInt8>, keepsDefault: Bool = false) {
    if value.isEmpty, !keepsDefault { return }
    tag(number, .lengthDelimited)
    varint(UInt64(value.count))
    bytes.append(contentsOf: value)
  }

  public mutating func string(_ number: Int, _ value: String, keepsDefault: Bool = false) {
    bytes(number, value.utf8, keepsDefault: keepsDefault)
  }

  public mutating func strings(_ number: Int, _ values: [String]) {
    for value in values { string(number, value, keepsDefault: true) }
  }

  /// A nested message, sent if there is one, empty or not.
  public mutating func message(_ number: Int, _ value: (some ProtobufWritable)?) {
    guard let value else { return }
    bytes(number, value.encoded(), keepsDefault: true)
  }

  public mutating func messages(_ number: Int, _ values: [some ProtobufWritable]) {
    for value in values { message(number, value) }
  }

  /// A repeated number, packed.
  public mutating func packed(_ number: Int, _ values: [UInt64]) {
    if values.isEmpty { return }
    var list = WireWriter()
    for value in values { list.varint(value) }
    bytes(number, list.bytes)
  }

  /// A repeated `int32` or enum, packed.
  public mutating func packed(_ number: Int, _ values: [Int32]) {
    packed(number, values.map { UInt64(bitPattern: Int64($0)) })
  }

  /// A `map<string, string>`, ascending by key, so that equal maps have equal bytes.
  public mutating func map(_ number: Int, _ values: [String: String]) {
    for (key, value) in values.sorted(by: { $0.key < $1.key }) { message(number, TextMapEntry(key: key, value: value)) }
  }

  mutating func append(_ message: some ProtobufWritable) {
    message.encode(into: &self)
    bytes.append(contentsOf: message.unknownFields.bytes)
  }

  private mutating func tag(_ number: Int, _ type: WireType) {
    precondition(number > 0 && number <= 0x1FFF_FFFF)
    varint(UInt64(number) << 3 | UInt64(type.rawValue))
  }

  private mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  private mutating func littleEndian(_ value: UInt64, byteCount: Int) {
    for index in 0..<byteCount { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(index * 8))) }
  }
}
