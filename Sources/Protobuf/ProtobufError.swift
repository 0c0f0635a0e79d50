/// Why bytes are not a message. Bytes from outside are hostile until decoded; all of these refuse the whole message.
public enum ProtobufError: Error, Equatable, Sendable {
  /// The bytes end inside a field.
  case truncated
  /// A varint of more than ten bytes or 64 bits.
  case malformedVarint
  /// Field number 0, above 2^29 - 1, or a group that ends without having begun.
  case malformedTag
  /// A wire type that is none (6 or 7).
  case unknownWireType
  /// A known field that arrived with another wire type than the schema's.
  case unexpectedWireType(field: Int)
  /// A string that is not UTF-8.
  case malformedText(field: Int)
  /// Messages or groups inside each other beyond `ProtobufLimits.maximumDepth`.
  case tooDeep
  /// More fields, counted through all nested messages, than `ProtobufLimits.maximumFields`.
  case tooManyFields
}

extension ProtobufError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .truncated: "the message ends inside a field"
    case .malformedVarint: "a number is longer than 64 bits"
    case .malformedTag: "a field has no valid number"
    case .unknownWireType: "a field has an unknown wire type"
    case .unexpectedWireType(let field): "field \(field) has another wire type than its schema says"
    case .malformedText(let field): "field \(field) is text that is not UTF-8"
    case .tooDeep: "messages are nested too deeply"
    case .tooManyFields: "the message has too many fields"
    }
  }
}

/// What decoding may cost. Bytes are bounded by whoever received them; these bound what the bytes turn into.
public struct ProtobufLimits: Equatable, Sendable {
  /// Messages and groups inside each other.
  public var maximumDepth: Int
  /// Fields of the message and all that is nested in it.
  public var maximumFields: Int

  public init(maximumDepth: Int = 64, maximumFields: Int = 1 << 20) {
    self.maximumDepth = maximumDepth
    self.maximumFields = maximumFields
  }
}
