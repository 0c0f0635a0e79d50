/// A message of protobuf's wire format (protobuf.dev, "Encoding"), proto3 semantics: fields at their default value are not sent.
///
/// A type lists its fields twice, once in `decode(_:)` and once in `encode(into:)`, and keeps what it does not know in `unknownFields`, so
/// that a message passes through older code unharmed.
public protocol ProtobufMessage: Equatable, Sendable {
  init()

  /// Fields that arrived and are not known here.
  var unknownFields: UnknownFields { get set }

  /// Takes one field. Returns false if its number is not known; the caller then keeps it in `unknownFields`.
  mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool

  /// Writes all known fields.
  func encode(into writer: inout WireWriter)
}

/// Fields kept as they came: whole, tags included, in their order.
public struct UnknownFields: Equatable, Sendable {
  public private(set) var bytes: [UInt8] = []

  public init() {}

  public var isEmpty: Bool { bytes.isEmpty }

  mutating func append(_ field: ArraySlice<UInt8>) { bytes.append(contentsOf: field) }
}

extension ProtobufMessage {
  /// Decodes a whole message.
  public init(decoding bytes: [UInt8], limits: ProtobufLimits = ProtobufLimits()) throws(ProtobufError) {
    self.init()
    try merge(bytes[...], budget: WireBudget(limits), depth: 0)
  }

  /// The message's bytes: known fields in the order of `encode(into:)`, then the unknown ones.
  public func encoded() -> [UInt8] {
    var writer = WireWriter()
    writer.append(self)
    return writer.bytes
  }

  /// Merges the fields of one encoded message into this one: scalars replace, repeated fields append (as the format asks when a field of
  /// message type arrives in several pieces).
  mutating func merge(_ bytes: ArraySlice<UInt8>, budget: WireBudget, depth: Int) throws(ProtobufError) {
    if depth > budget.limits.maximumDepth { throw .tooDeep }
    var reader = WireReader(bytes, budget: budget, depth: depth)
    while let field = try reader.next() {
      if try !decode(field) { unknownFields.append(field.wholeBytes) }
    }
  }
}
