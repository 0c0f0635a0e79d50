/// `google.protobuf.Empty`.
public struct ProtobufEmpty: ProtobufMessage {
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool { false }

  public func encode(into writer: inout WireWriter) {}
}

/// `google.protobuf.Timestamp`: seconds since 1970 (UTC), and 0...999,999,999 nanoseconds that always count forward.
public struct ProtobufTimestamp: ProtobufMessage {
  public var seconds: Int64 = 0
  public var nanoseconds: Int32 = 0
  public var unknownFields = UnknownFields()

  public init() {}

  public init(seconds: Int64, nanoseconds: Int32 = 0) {
    self.seconds = seconds
    self.nanoseconds = nanoseconds
  }

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: seconds = try field.int64()
    case 2: nanoseconds = try field.int32()
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.int64(1, seconds)
    writer.int32(2, nanoseconds)
  }
}

/// `google.protobuf.BoolValue`: a flag that may be absent.
public struct ProtobufBoolValue: ProtobufMessage {
  public var value = false
  public var unknownFields = UnknownFields()

  public init() {}

  public init(_ value: Bool) { self.value = value }

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    if field.number != 1 { return false }
    value = try field.bool()
    return true
  }

  public func encode(into writer: inout WireWriter) { writer.bool(1, value) }
}

/// `google.protobuf.StringValue`: text that may be absent.
public struct ProtobufStringValue: ProtobufMessage {
  public var value = ""
  public var unknownFields = UnknownFields()

  public init() {}

  public init(_ value: String) { self.value = value }

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    if field.number != 1 { return false }
    value = try field.string()
    return true
  }

  public func encode(into writer: inout WireWriter) { writer.string(1, value) }
}

/// `google.protobuf.Int64Value`: a number that may be absent.
public struct ProtobufInt64Value: ProtobufMessage {
  public var value: Int64 = 0
  public var unknownFields = UnknownFields()

  public init() {}

  public init(_ value: Int64) { self.value = value }

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    if field.number != 1 { return false }
    value = try field.int64()
    return true
  }

  public func encode(into writer: inout WireWriter) { writer.int64(1, value) }
}
