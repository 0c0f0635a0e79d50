import NVMe
import Testing

@Suite struct TerminationRequestTests {
  @Test func layoutAndTruncations() throws {
    let header = bytes("04 00 47 00 48 00 00 00")
    let request = TerminationRequest(direction: .controllerToHost, fault: .invalidField(at: 2))
    var length = 0
    let encoded = written(40) { length = request.encode(into: &$0, at: 4, offendingHeader: unsafe header.span.bytes) }
    #expect(length == 32)
    #expect(
      encoded
        == image(
          40, fill: 0xFF,
          [
            (4, "03 00 18 00 20 00 00 00 01 00 02 00 00 00 00 00 00 00 00 00 00 00 00 00"),
            (28, "04 00 47 00 48 00 00 00"),
          ]))
    var decoded = try decode(TerminationRequest.self, encoded, at: 4)
    #expect(decoded.direction == .controllerToHost && decoded.status == .invalidHeaderField && decoded.information == 2)
    #expect(decoded.offendingHeaderByteCount == 8)
    decoded.offendingHeaderByteCount = 0
    #expect(decoded == request)
    let whole = Array(encoded[4..<36])
    for count in 0..<32 {
      #expect(throws: CodecError.truncated) {
        try decode(TerminationRequest.self, whole, first: count)
      }
    }
  }

  @Test func informationIsAtBytesTenToThirteen() throws {
    let raw = image(24, [(0, "02 00 18 00 18 00 00 00"), (8, "AA BB"), (10, "0A 0B 0C 0D")])
    let request = try decode(TerminationRequest.self, raw)
    #expect(request.direction == .hostToController && request.statusCode == 0xBBAA && request.status == nil)
    #expect(request.information == 0x0D0C_0B0A && request.offendingHeaderByteCount == 0)
    #expect(written(24) { _ = request.encode(into: &$0, offendingHeader: RawSpan()) } == raw)
  }

  @Test func offendingHeaderIsCutAt128Bytes() throws {
    let header = [UInt8](repeating: 0xAB, count: 200)
    let request = TerminationRequest(direction: .hostToController, fault: PDUFault(.sequenceError, information: 0))
    let encoded = written(160) { #expect(request.encode(into: &$0, offendingHeader: unsafe header.span.bytes) == 152) }
    #expect(encoded[4] == 152 && encoded[151] == 0xAB && encoded[152] == 0xFF)
    #expect(try decode(TerminationRequest.self, encoded).offendingHeaderByteCount == 128)
  }

  @Test func otherTypesAndLengthsAreRefused() {
    let wrongType = image(160, [(0, "04 00 18 00 18")])
    #expect(throws: CodecError.wrongType) { try decode(TerminationRequest.self, wrongType) }
    for length in ["17 00 00 00", "99 00 00 00", "18 01 00 00", "00 00 00 00", "FF FF FF FF"] {
      let raw = image(160, [(0, "02 00 18 00 " + length)])
      #expect(throws: CodecError.invalidField) { try decode(TerminationRequest.self, raw) }
    }
  }
}
