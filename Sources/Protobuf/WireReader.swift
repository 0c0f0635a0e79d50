/// What is left of one decoding's allowance, shared by all nested messages.
final class WireBudget {
  let limits: ProtobufLimits
  private var remainingFields: Int

  init(_ limits: ProtobufLimits) {
    self.limits = limits
    remainingFields = limits.maximumFields
  }

  func spendField() throws(ProtobufError) {
    if remainingFields == 0 { throw .tooManyFields }
    remainingFields -= 1
  }
}

/// Cuts a message into its fields. Every length is checked against the bytes that are there before it is used; nothing is copied.
struct WireReader {
  private let bytes: ArraySlice<UInt8>
  private var position: Int
  private let budget: WireBudget
  private let depth: Int

  init(_ bytes: ArraySlice<UInt8>, budget: WireBudget, depth: Int) {
    self.bytes = bytes
    position = bytes.startIndex
    self.budget = budget
    self.depth = depth
  }

  /// The next field; nil at the end of the message.
  mutating func next() throws(ProtobufError) -> WireField? {
    if position == bytes.endIndex { return nil }
    try budget.spendField()
    let start = position
    let tag = try tag()
    let value: WireField.Value
    switch tag.type {
    case .varint: value = .varint(try varint())
    case .fixed64: value = .fixed64(try littleEndian(byteCount: 8))
    case .fixed32: value = .fixed32(UInt32(truncatingIfNeeded: try littleEndian(byteCount: 4)))
    case .lengthDelimited: value = .bytes(try lengthDelimited())
    case .groupStart:
      try skipGroup(number: tag.number)
      value = .group
    case .groupEnd: throw .malformedTag
    }
    return WireField(number: tag.number, value: value, wholeBytes: bytes[start..<position], budget: budget, depth: depth)
  }

  private mutating func tag() throws(ProtobufError) -> (number: Int, type: WireType) {
    let tag = try varint()
    guard let type = WireType(rawValue: UInt8(tag & 7)) else { throw .unknownWireType }
    let number = tag >> 3
    if number == 0 || number > 0x1FFF_FFFF { throw .malformedTag }
    return (Int(number), type)
  }

  mutating func varint() throws(ProtobufError) -> UInt64 {
    var value: UInt64 = 0
    for index in 0..<10 {
      if position == bytes.endIndex { throw .truncated }
      let byte = bytes[position]
      position += 1
      // The tenth byte holds bit 63 alone.
      if index == 9, byte > 1 { throw .malformedVarint }
      value |= UInt64(byte & 0x7F) << UInt64(index * 7)
      if byte & 0x80 == 0 { return value }
    }
    throw .malformedVarint
  }

  var isAtEnd: Bool { position == bytes.endIndex }

  mutating func littleEndian(byteCount: Int) throws(ProtobufError) -> UInt64 {
    if bytes.endIndex - position < byteCount { throw .truncated }
    var value: UInt64 = 0
    for index in 0..<byteCount { value |= UInt64(bytes[position + index]) << UInt64(index * 8) }
    position += byteCount
    return value
  }

  private mutating func lengthDelimited() throws(ProtobufError) -> ArraySlice<UInt8> {
    let length = try varint()
    if length > UInt64(bytes.endIndex - position) { throw .truncated }
    let start = position
    position += Int(length)
    return bytes[start..<position]
  }

  /// Skips to the end of a group: the old way to nest, which no schema here uses but which unknown fields may.
  private mutating func skipGroup(number: Int) throws(ProtobufError) {
    var open = [number]
    while let innermost = open.last {
      if open.count + depth > budget.limits.maximumDepth { throw .tooDeep }
      try budget.spendField()
      let tag = try tag()
      switch tag.type {
      case .varint: _ = try varint()
      case .fixed64: _ = try littleEndian(byteCount: 8)
      case .fixed32: _ = try littleEndian(byteCount: 4)
      case .lengthDelimited: _ = try lengthDelimited()
      case .groupStart: open.append(tag.number)
      case .groupEnd:
        if tag.number != innermost { throw .malformedTag }
        open.removeLast()
      }
    }
  }
}

/// How a field's length is told (protobuf.dev, "Encoding", "Message Structure").
enum WireType: UInt8 {
  case varint = 0
  case fixed64 = 1
  case lengthDelimited = 2
  case groupStart = 3
  case groupEnd = 4
  case fixed32 = 5
}
