import Testing

@testable import Protobuf

/// One field of each kind.
struct Sample: ProtobufMessage {
  var number: UInt64 = 0
  var signed: Int64 = 0
  var text = ""
  var data: [UInt8] = []
  var flag = false
  var list: [UInt64] = []
  var kinds: [Int32] = []
  var names: [String] = []
  var map: [String: String] = [:]
  var zigzag: Int64 = 0
  var ratio: Double = 0
  var small: Float = 0
  var children: [Sample] = []
  var only: ProtobufTimestamp?
  var unknownFields = UnknownFields()

  mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: number = try field.uint64()
    case 2: signed = try field.int64()
    case 3: text = try field.string()
    case 4: data = try field.bytes()
    case 5: flag = try field.bool()
    case 6: try field.append(to: &list)
    case 7: try field.append(to: &kinds)
    case 8: names.append(try field.string())
    case 9: try field.insert(into: &map)
    case 10: zigzag = try field.signed64()
    case 11: ratio = try field.double()
    case 12: small = try field.float()
    case 13: children.append(try field.message())
    case 14: only = try field.message(merging: only)
    default: return false
    }
    return true
  }

  func encode(into writer: inout WireWriter) {
    writer.uint64(1, number)
    writer.int64(2, signed)
    writer.string(3, text)
    writer.bytes(4, data)
    writer.bool(5, flag)
    writer.packed(6, list)
    writer.packed(7, kinds)
    writer.strings(8, names)
    writer.map(9, map)
    writer.signed64(10, zigzag)
    writer.double(11, ratio)
    writer.float(12, small)
    writer.messages(13, children)
    writer.message(14, only)
  }

  static var full: Sample {
    var sample = Sample()
    (sample.number, sample.signed, sample.text, sample.data, sample.flag) = (.max, .min, "größe", [0, 255, 1], true)
    (sample.list, sample.kinds, sample.names) = ([0, 1, 300, .max], [-1, 0, 7], ["", "a"])
    (sample.map, sample.zigzag, sample.ratio, sample.small) = (["a": "1", "": "", "b": ""], -3, -0.5, 2.25)
    var child = Sample()
    child.text = "child"
    sample.children = [child, Sample()]
    sample.only = ProtobufTimestamp(seconds: -1, nanoseconds: 999_999_999)
    return sample
  }
}

@Suite struct WireCodecTests {
  /// The examples of protobuf.dev, "Encoding".
  @Test func `matches the documentation's bytes`() throws {
    var sample = Sample()
    sample.number = 150
    #expect(sample.encoded() == [0x08, 0x96, 0x01])
    sample = Sample()
    sample.text = "testing"
    #expect(sample.encoded() == [0x1A, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6E, 0x67])
    sample = Sample()
    sample.list = [3, 270, 86_942]
    #expect(sample.encoded() == [0x32, 0x06, 0x03, 0x8E, 0x02, 0x9E, 0xA7, 0x05])
    sample = Sample()
    sample.signed = -2
    #expect(sample.encoded() == [0x10, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01])
    for (value, byte) in [(0, 0), (-1, 1), (1, 2), (-2, 3)] as [(Int64, UInt8)] {
      #expect(try Sample(decoding: [0x50, byte]).zigzag == value)
    }
  }

  @Test func `a full message comes back as it went`() throws {
    let sample = Sample.full
    #expect(try Sample(decoding: sample.encoded()) == sample)
    #expect(try Sample(decoding: []) == Sample())
    #expect(Sample().encoded().isEmpty)
  }

  @Test func `repeated numbers are read packed and one by one`() throws {
    #expect(try Sample(decoding: [0x30, 1, 0x32, 2, 2, 3, 0x30, 4]).list == [1, 2, 3, 4])
    #expect(try Sample(decoding: [0x38, 1, 0x3A, 2, 2, 3]).kinds == [1, 2, 3])
  }

  @Test func `the last scalar wins and messages merge`() throws {
    #expect(try Sample(decoding: [0x08, 1, 0x08, 2]).number == 2)
    #expect(try Sample(decoding: [0x72, 2, 0x08, 5, 0x72, 2, 0x10, 6]).only == ProtobufTimestamp(seconds: 5, nanoseconds: 6))
    #expect(try Sample(decoding: [0x4A, 0, 0x4A, 3, 0x0A, 1, 0x61]).map == ["": "", "a": ""])
  }

  @Test func `unknown fields survive in their order`() throws {
    // Field 100 in every wire type, a group with a nested group among them.
    let unknown: [UInt8] = [
      0xA0, 0x06, 0x7F, 0xA1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8, 0xA2, 0x06, 2, 9, 9, 0xA3, 0x06, 0x08, 1, 0xA3, 0x06, 0xA4, 0x06, 0xA4, 0x06,
      0xA5,
      0x06, 1, 2, 3, 4,
    ]
    let message = try Sample(decoding: [0x08, 1] + unknown + [0x28, 1])
    #expect(message.number == 1 && message.flag)
    #expect(message.unknownFields.bytes == unknown)
    #expect(message.encoded() == [0x08, 1, 0x28, 1] + unknown)
    let relayed = try ProtobufEmpty(decoding: Sample.full.encoded())
    #expect(try Sample(decoding: relayed.encoded()) == Sample.full)
  }

  @Test(
    arguments: [
      ([0x08], .truncated), ([0x08, 0x80], .truncated), ([0x1A, 5, 1], .truncated), ([0x59, 1, 2, 3], .truncated),
      ([0x1A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], .truncated),
      ([0x08] + [UInt8](repeating: 0xFF, count: 9) + [2], .malformedVarint),
      ([0x08] + [UInt8](repeating: 0x80, count: 11), .malformedVarint),
      ([0x00, 1], .malformedTag), ([0x0C], .malformedTag), ([0xA3, 0x06, 0xAC, 0x06], .malformedTag), ([0xA3, 0x06], .truncated),
      ([0x0E], .unknownWireType), ([0x0A, 0], .unexpectedWireType(field: 1)), ([0x18, 1], .unexpectedWireType(field: 3)),
      ([0x1A, 1, 0xFF], .malformedText(field: 3)), ([0x1A, 3, 0xED, 0xA0, 0x80], .malformedText(field: 3)),
    ] as [([UInt8], ProtobufError)]) func `refuses malformed bytes`(_ bytes: [UInt8], _ error: ProtobufError)
  {
    #expect(throws: error) { try Sample(decoding: bytes) }
  }

  @Test func `depth and fields are bounded`() throws {
    var nested: [UInt8] = []
    for _ in 0..<64 {
      var writer = WireWriter()
      writer.bytes(13, nested, keepsDefault: true)
      nested = writer.bytes
    }
    _ = try Sample(decoding: nested)
    var deeper = WireWriter()
    deeper.bytes(13, nested)
    #expect(throws: ProtobufError.tooDeep) { try Sample(decoding: deeper.bytes) }
    #expect(throws: ProtobufError.tooDeep) { try Sample(decoding: [UInt8](repeating: 0xA3, count: 1) + Self.groups(1000)) }
    let limits = ProtobufLimits(maximumFields: 10)
    _ = try Sample(decoding: [UInt8](repeating: 0x28, count: 20), limits: limits)
    #expect(throws: ProtobufError.tooManyFields) { try Sample(decoding: [UInt8](repeating: 0x28, count: 22), limits: limits) }
    #expect(throws: ProtobufError.tooManyFields) { try Sample(decoding: [0x32, 10] + [UInt8](repeating: 1, count: 10), limits: limits) }
  }

  private static func groups(_ count: Int) -> [UInt8] { [0x06] + (0..<count).flatMap { _ in [0xA3, 0x06] as [UInt8] } }
}
