import NVMe
import Testing

/// A structure that decodes itself.
protocol SpanDecodable: Equatable {
  init(decoding bytes: RawSpan, at offset: Int) throws(CodecError)
}

/// A structure of fixed length that encodes itself as well.
protocol FixedCodec: SpanDecodable {
  static var byteCount: Int { get }
  func encode(into bytes: inout MutableRawSpan, at offset: Int)
}

extension TerminationRequest: SpanDecodable {}
extension ANALog: SpanDecodable {}
extension QualifiedName: SpanDecodable {}
extension SGLDescriptor: FixedCodec {}
extension SubmissionEntry: FixedCodec {}
extension CompletionEntry: FixedCodec {}
extension DatasetRange: FixedCodec {}
extension PDUCommonHeader: FixedCodec {}
extension InitializeConnectionRequest: FixedCodec {}
extension InitializeConnectionResponse: FixedCodec {}
extension CapsuleCommandHeader: FixedCodec {}
extension CapsuleResponse: FixedCodec {}
extension DataHeader: FixedCodec {}
extension ReadyToTransfer: FixedCodec {}
extension Identifier128: FixedCodec {}
extension IdentifyController: FixedCodec {}
extension PowerState: FixedCodec {}
extension IdentifyNamespace: FixedCodec {}
extension IdentifyNamespaceIndependent: FixedCodec {}
extension IdentifyControllerNVM: FixedCodec {}
extension IdentifyNamespaceNVM: FixedCodec {}
extension NamespaceDescriptors: FixedCodec {}
extension CommandSetCombinations: FixedCodec {}
extension ErrorLogEntry: FixedCodec {}
extension HealthLog: FixedCodec {}
extension FirmwareSlotLog: FixedCodec {}
extension CommandEffectsLog: FixedCodec {}
extension DiscoveryLogEntry: FixedCodec {}
extension DiscoveryLogHeader: FixedCodec {}

/// A field's offset in bytes and its bytes in hexadecimal.
typealias Field = (offset: Int, hex: String)

/// The bytes of hexadecimal text; blanks are passed over.
func bytes(_ hex: String) -> [UInt8] {
  let digits = hex.compactMap(\.hexDigitValue)
  precondition(digits.count % 2 == 0)
  return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

/// `count` bytes with `fields` at their offsets and `fill` elsewhere.
func image(_ count: Int, fill: UInt8 = 0, _ fields: [Field]) -> [UInt8] {
  var image = [UInt8](repeating: fill, count: count)
  for field in fields {
    for (index, byte) in bytes(field.hex).enumerated() { image[field.offset + index] = byte }
  }
  return image
}

/// What `body` writes into `count` bytes that are FFh before.
func written(_ count: Int, _ body: (inout MutableRawSpan) -> Void) -> [UInt8] {
  var array = [UInt8](repeating: 0xFF, count: count)
  var span = array.mutableSpan
  var raw = unsafe span.mutableBytes
  body(&raw)
  return array
}

/// Decodes what is at `offset` in `array`, of which only the first `length` bytes are shown.
func decode<Value: SpanDecodable>(
  _ type: Value.Type, _ array: [UInt8], at offset: Int = 0, first length: Int? = nil
) throws(CodecError) -> Value {
  let span = array.span
  let raw = unsafe span.bytes
  return try Value(decoding: raw.extracting(first: length ?? raw.byteCount), at: offset)
}

/// Checks that `value` encodes to exactly `fields` with zeros elsewhere, writes nothing outside of its place, decodes again to itself, and
/// that every truncation is refused.
func checkLayout<Value: FixedCodec>(_ value: Value, _ fields: [Field], sourceLocation: SourceLocation = #_sourceLocation) {
  let count = Value.byteCount
  let expected = image(count, fields)
  let margin = 8
  let encoded = written(count + 2 * margin) { value.encode(into: &$0, at: margin) }
  #expect(encoded.prefix(margin).allSatisfy { $0 == 0xFF }, "wrote before its place", sourceLocation: sourceLocation)
  #expect(encoded.suffix(margin).allSatisfy { $0 == 0xFF }, "wrote behind its place", sourceLocation: sourceLocation)
  let body = Array(encoded[margin..<margin + count])
  for index in 0..<count where body[index] != expected[index] {
    Issue.record("byte \(index) is \(body[index]), not \(expected[index])", sourceLocation: sourceLocation)
  }
  do throws(CodecError) {
    #expect(
      try decode(Value.self, encoded, at: margin) == value, sourceLocation: sourceLocation)
    #expect(try decode(Value.self, expected, at: 0) == value, sourceLocation: sourceLocation)
  } catch {
    Issue.record("refused its own bytes: \(error)", sourceLocation: sourceLocation)
  }
  for length in 0..<count {
    #expect(throws: CodecError.truncated, sourceLocation: sourceLocation) {
      try decode(Value.self, expected, at: 0, first: length)
    }
  }
  #expect(throws: CodecError.truncated, sourceLocation: sourceLocation) {
    try decode(Value.self, expected, at: 1)
  }
  #expect(throws: CodecError.truncated, sourceLocation: sourceLocation) {
    try decode(Value.self, expected, at: count + 1)
  }
}

/// SplitMix64: the same numbers from the same seed on every run.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// `count` random bytes; a share of them, itself random, zeros.
  mutating func bytes(_ count: Int) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(count + 8)
    let zeroShare = next() & 0x7
    while result.count < count {
      let word = next()
      if word >> 61 < zeroShare {
        for _ in 0..<8 { result.append(0) }
      } else {
        for shift in 0..<8 { result.append(UInt8(truncatingIfNeeded: word >> UInt64(8 * shift))) }
      }
    }
    result.removeLast(result.count - count)
    return result
  }
}
