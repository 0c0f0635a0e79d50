/// A message that is a table of fields, each of which knows its number, its type and its place.
public protocol TabledMessage: ProtobufMessage {
  /// In the order in which they are sent.
  static var fields: [MessageField<Self>] { get }
}

extension TabledMessage {
  public static var fields: [MessageField<Self>] { [] }

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    guard let known = Self.fields.first(where: { $0.number == field.number }) else { return false }
    try known.take(field, &self)
    return true
  }

  public func encode(into writer: inout WireWriter) {
    for field in Self.fields { field.write(self, &writer) }
  }
}

/// One field of a message's table; the functions below are named after the types of the schema.
public struct MessageField<Message: ProtobufMessage>: Sendable {
  public typealias Place<Value> = WritableKeyPath<Message, Value> & Sendable

  let number: Int
  let take: @Sendable (WireField, inout Message) throws(ProtobufError) -> Void
  let write: @Sendable (Message, inout WireWriter) -> Void

  init(
    _ number: Int, take: @escaping @Sendable (WireField, inout Message) throws(ProtobufError) -> Void,
    write: @escaping @Sendable (Message, inout WireWriter) -> Void
  ) {
    self.number = number
    self.take = take
    self.write = write
  }

  public static func string(_ number: Int, _ place: Place<String>) -> Self {
    Self(number) { (field, message) throws(ProtobufError) in
      message[keyPath: place] = try field.string()
    } write: { message, writer in
      writer.string(number, message[keyPath: place])
    }
  }

  public static func int64(_ number: Int, _ place: Place<Int64>) -> Self {
    Self(number) { (field, message) throws(ProtobufError) in
      message[keyPath: place] = try field.int64()
    } write: { message, writer in
      writer.int64(number, message[keyPath: place])
    }
  }

  /// Also for enums.
  public static func int32(_ number: Int, _ place: Place<Int32>) -> Self {
    Self(number) { (field, message) throws(ProtobufError) in
      message[keyPath: place] = try field.int32()
    } write: { message, writer in
      writer.int32(number, message[keyPath: place])
    }
  }

  public static func bool(_ number: Int, _ place: Place<Bool>) -> Self {
    Self(number) { (field, message) throws(ProtobufError) in
      message[keyPath: place] = try field.bool()
    } write: { message, writer in
      writer.bool(number, message[keyPath: place])
    }
  }

  /// A `map<string, string>`.
  public static func map(_ number: Int, _ place: Place<[String: String]>) -> Self {
    Self(number) { (field, message) throws(ProtobufError) in
      try field.insert(into: &message[keyPath: place])
    } write: { message, writer in
      writer.map(number, message[keyPath: place])
    }
  }

  public static func message<Nested: ProtobufMessage>(_ number: Int, _ place: Place<Nested?>) -> Self {
    Self(number) { (field, message) throws(ProtobufError) in
      message[keyPath: place] = try field.message(merging: message[keyPath: place])
    } write: { message, writer in
      writer.message(number, message[keyPath: place])
    }
  }

  /// A member of a `oneof` of two: the later one takes the place of the other.
  public static func message<Nested: ProtobufMessage, Other: ProtobufMessage>(
    _ number: Int, _ place: Place<Nested?>, insteadOf other: Place<Other?>
  ) -> Self {
    let plain = message(number, place)
    return Self(number) { (field, message) throws(ProtobufError) in
      try plain.take(field, &message)
      message[keyPath: other] = nil
    } write: { message, writer in
      plain.write(message, &writer)
    }
  }

  /// An enum; a value that is not known becomes `unknown`.
  public static func choice<Choice: RawRepresentable<Int32> & Sendable>(
    _ number: Int, _ place: Place<Choice>, unknown: Choice
  ) -> Self {
    Self(number) { (field, message) throws(ProtobufError) in
      message[keyPath: place] = Choice(rawValue: try field.int32()) ?? unknown
    } write: { message, writer in
      writer.int32(number, message[keyPath: place].rawValue)
    }
  }

  public static func strings(_ number: Int, _ place: Place<[String]>) -> Self {
    Self(number) { (field, message) throws(ProtobufError) in
      message[keyPath: place].append(try field.string())
    } write: { message, writer in
      writer.strings(number, message[keyPath: place])
    }
  }

  /// A repeated message.
  public static func messages<Nested: ProtobufMessage>(_ number: Int, _ place: Place<[Nested]>) -> Self {
    Self(number) { (field, message) throws(ProtobufError) in
      message[keyPath: place].append(try field.message())
    } write: { message, writer in
      writer.messages(number, message[keyPath: place])
    }
  }
}
