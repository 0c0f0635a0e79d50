/// What can be sent in protobuf's wire format (protobuf.dev, "Encoding"), proto3 semantics: fields at their default value are not sent.
public protocol ProtobufWritable: Sendable {
  /// Fields that came with the message and were not known; sent after the known ones.
  var unknownFields: UnknownFields { get }

  /// Writes all known fields.
  func encode(into writer: inout WireWriter)
}

/// What can be read from protobuf's wire format.
public protocol ProtobufReadable: Sendable {
  init()

  /// Takes one field. Returns false if its number is not known.
  mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool

  /// Takes a field that `decode(_:)` did not know. By itself a type that is only read lets it go.
  mutating func keepUnknown(_ field: WireField)
}

/// A message that goes both ways: it keeps what it does not know, so that it passes through older code unharmed.
public protocol ProtobufMessage: ProtobufWritable, ProtobufReadable, Equatable {
  var unknownFields: UnknownFields { get set }
}

/// Fields kept as they came: whole, tags included, in their order.
public struct UnknownFields: Equatable, Sendable {
  public private(set) var bytes: [UInt8] = []

  public init() {}

  public var isEmpty: Bool { bytes.isEmpty }

  mutating func append(_ field: ArraySlice<UInt8>) { bytes.append(contentsOf: field) }
}

extension ProtobufWritable {
  public var unknownFields: UnknownFields { UnknownFields() }

  /// The message's bytes: known fields in the order of `encode(into:)`, then the unknown ones.
  public func encoded() -> [UInt8] {
    var writer = WireWriter()
    writer.append(self)
    return writer.bytes
  }
}

extension ProtobufReadable {
  /// Decodes a whole message.
  public init(decoding bytes: [UInt8], limits: ProtobufLimits = ProtobufLimits()) throws(ProtobufError) {
    self.init()
    try merge(bytes[...], budget: WireBudget(limits), depth: 0)
  }

  public mutating func keepUnknown(_ field: WireField) {}

  /// Merges the fields of one encoded message into this one: scalars replace, repeated fields append (as the format asks when a field of
  /// message type arrives in several pieces).
  mutating func merge(_ bytes: ArraySlice<UInt8>, budget: WireBudget, depth: Int) throws(ProtobufError) {
    if depth > budget.limits.maximumDepth { throw .tooDeep }
    var reader = WireReader(bytes, budget: budget, depth: depth)
    while let field = try reader.next() {
      if try !decode(field) { keepUnknown(field) }
    }
  }
}

extension ProtobufMessage {
  public mutating func keepUnknown(_ field: WireField) { unknownFields.append(field.wholeBytes) }
}
