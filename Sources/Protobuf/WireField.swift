/// One field as it arrived. A message asks it for the type that its schema gives to the number.
public struct WireField {
  enum Value {
    case varint(UInt64)
    case fixed64(UInt64)
    case fixed32(UInt32)
    case bytes(ArraySlice<UInt8>)
    case group
  }

  public let number: Int
  let value: Value
  /// Tag and value, as they came.
  let wholeBytes: ArraySlice<UInt8>
  let budget: WireBudget
  let depth: Int

  private var mismatch: ProtobufError { .unexpectedWireType(field: number) }

  private func slice() throws(ProtobufError) -> ArraySlice<UInt8> {
    guard case .bytes(let slice) = value else { throw mismatch }
    return slice
  }

  public func uint64() throws(ProtobufError) -> UInt64 {
    guard case .varint(let value) = value else { throw mismatch }
    return value
  }

  public func int64() throws(ProtobufError) -> Int64 { Int64(bitPattern: try uint64()) }

  /// The low 32 bits, as the format asks.
  public func uint32() throws(ProtobufError) -> UInt32 { UInt32(truncatingIfNeeded: try uint64()) }

  /// The low 32 bits; also for enums, whose unknown values are kept as numbers.
  public func int32() throws(ProtobufError) -> Int32 { Int32(truncatingIfNeeded: try uint64()) }

  public func bool() throws(ProtobufError) -> Bool { try uint64() != 0 }

  /// A `sint64`: zig-zag.
  public func signed64() throws(ProtobufError) -> Int64 {
    let value = try uint64()
    return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
  }

  public func double() throws(ProtobufError) -> Double {
    guard case .fixed64(let bits) = value else { throw mismatch }
    return Double(bitPattern: bits)
  }

  public func float() throws(ProtobufError) -> Float {
    guard case .fixed32(let bits) = value else { throw mismatch }
    return Float(bitPattern: bits)
  }

  public func fixed64() throws(ProtobufError) -> UInt64 {
    guard case .fixed64(let bits) = value else { throw mismatch }
    return bits
  }

  public func fixed32() throws(ProtobufError) -> UInt32 {
    guard case .fixed32(let bits) = value else { throw mismatch }
    return bits
  }

  public func bytes() throws(ProtobufError) -> [UInt8] { Array(try slice()) }

  public func string() throws(ProtobufError) -> String {
    guard let text = String(validating: try slice(), as: UTF8.self) else { throw .malformedText(field: number) }
    return text
  }

  /// A nested message; `existing` is what an earlier piece of the same field gave.
  public func message<Message: ProtobufReadable>(merging existing: Message? = nil) throws(ProtobufError) -> Message {
    var message = existing ?? Message()
    try message.merge(try slice(), budget: budget, depth: depth + 1)
    return message
  }

  /// Appends to a repeated number: one element, or all of a packed list. Both must be understood whatever the schema prefers.
  public func append(to list: inout [UInt64]) throws(ProtobufError) {
    if case .varint(let value) = value {
      list.append(value)
      return
    }
    var reader = WireReader(try slice(), budget: budget, depth: depth)
    while !reader.isAtEnd {
      try budget.spendField()
      list.append(try reader.varint())
    }
  }

  public func append(to list: inout [Int64]) throws(ProtobufError) {
    var values: [UInt64] = []
    try append(to: &values)
    list.append(contentsOf: values.map { Int64(bitPattern: $0) })
  }

  /// Enums and `int32`: the low 32 bits.
  public func append(to list: inout [Int32]) throws(ProtobufError) {
    var values: [UInt64] = []
    try append(to: &values)
    list.append(contentsOf: values.map { Int32(truncatingIfNeeded: $0) })
  }

  /// One entry of a `map<string, string>`; the last of a key wins.
  public func insert(into map: inout [String: String]) throws(ProtobufError) {
    let entry: TextMapEntry = try message()
    map[entry.key] = entry.value
  }
}

/// An entry of a `map<string, string>` is a message of two fields.
struct TextMapEntry: ProtobufMessage {
  var key = ""
  var value = ""
  var unknownFields = UnknownFields()

  init() {}

  init(key: String, value: String) {
    self.key = key
    self.value = value
  }

  mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: key = try field.string()
    case 2: value = try field.string()
    default: return false
    }
    return true
  }

  func encode(into writer: inout WireWriter) {
    writer.string(1, key, keepsDefault: true)
    writer.string(2, value, keepsDefault: true)
  }
}
