import NVMe
import Testing

@Suite struct PDUValidationTests {
  /// A header by its fields: type, flags, HLEN, PDO, PLEN.
  func fault(
    _ type: UInt8, _ flags: UInt8, _ headerLength: UInt8, _ dataOffset: UInt8, _ totalLength: UInt32, _ direction: PDUDirection,
    headerDigest: Bool = false, dataDigest: Bool = false, capsule: UInt32? = 8192, alignment: UInt32 = 4
  ) -> PDUFault? {
    PDUCommonHeader(typeByte: type, flags: flags, headerLength: headerLength, dataOffset: dataOffset, totalLength: totalLength)
      .validate(
        direction: direction, headerDigest: headerDigest, dataDigest: dataDigest, maximumDataLength: 131_072,
        maximumCapsuleDataLength: capsule, alignment: alignment)
  }

  @Test func typeAndDirection() {
    for byte in UInt8.min...UInt8.max {
      guard let type = PDUType(rawValue: byte) else {
        #expect(fault(byte, 0, 24, 0, 24, .hostToController) == .invalidField(at: 0))
        #expect(fault(byte, 0, 24, 0, 24, .controllerToHost) == .invalidField(at: 0))
        continue
      }
      let other: PDUDirection = type.direction == .hostToController ? .controllerToHost : .hostToController
      let carriesData = type == .hostToControllerData || type == .controllerToHostData
      let totalLength = UInt32(type.headerLength) + (carriesData ? 4 : 0)
      let dataOffset: UInt8 = carriesData ? 24 : 0
      #expect(fault(byte, 0, type.headerLength, dataOffset, totalLength, type.direction) == nil)
      #expect(fault(byte, 0, type.headerLength, dataOffset, totalLength, other) == .invalidField(at: 0))
      for headerLength in UInt8.min...UInt8.max where headerLength != type.headerLength {
        #expect(fault(byte, 0, headerLength, dataOffset, totalLength, type.direction) == .invalidField(at: 2))
      }
    }
  }

  @Test func connectionSetUp() {
    #expect(fault(0x00, 0, 128, 0, 128, .hostToController, headerDigest: true, dataDigest: true) == nil)
    #expect(fault(0x00, 1, 128, 0, 128, .hostToController) == .invalidField(at: 1))
    #expect(fault(0x01, 2, 128, 0, 128, .controllerToHost) == .invalidField(at: 1))
    for length: UInt32 in [0, 8, 127, 129, 0xFFFF_FFFF] {
      #expect(fault(0x00, 0, 128, 0, length, .hostToController) == .invalidField(at: 4))
      #expect(fault(0x01, 0, 128, 0, length, .controllerToHost) == .invalidField(at: 4))
    }
  }

  @Test func terminations() {
    for (type, direction) in [(UInt8(0x02), PDUDirection.hostToController), (0x03, .controllerToHost)] {
      for length: UInt32 in [24, 25, 152] { #expect(fault(type, 0, 24, 0, length, direction, headerDigest: true) == nil) }
      for length: UInt32 in [0, 23, 153, 0xFFFF_FFFF] { #expect(fault(type, 0, 24, 0, length, direction) == .invalidField(at: 4)) }
      #expect(fault(type, 1, 24, 0, 24, direction, headerDigest: true) == .invalidField(at: 1))
    }
  }

  @Test func responsesAndReadyToTransfer() {
    for type: UInt8 in [0x05, 0x09] {
      #expect(fault(type, 0, 24, 0, 24, .controllerToHost) == nil)
      #expect(fault(type, 1, 24, 0, 28, .controllerToHost, headerDigest: true, dataDigest: true) == nil)
      #expect(fault(type, 0, 24, 0, 24, .controllerToHost, headerDigest: true) == .invalidField(at: 1))
      #expect(fault(type, 1, 24, 0, 28, .controllerToHost) == .invalidField(at: 1))
      #expect(fault(type, 2, 24, 0, 24, .controllerToHost, dataDigest: true) == .invalidField(at: 1))
      #expect(fault(type, 1, 24, 0, 24, .controllerToHost, headerDigest: true) == .invalidField(at: 4))
      #expect(fault(type, 0, 24, 0, 28, .controllerToHost) == .invalidField(at: 4))
    }
  }

  @Test func commandCapsules() {
    let host = PDUDirection.hostToController
    #expect(fault(0x04, 0, 72, 0, 72, host, dataDigest: true) == nil)
    #expect(fault(0x04, 1, 72, 0, 76, host, headerDigest: true, dataDigest: true) == nil)
    #expect(fault(0x04, 0, 72, 72, 72 + 8192, host) == nil)
    #expect(fault(0x04, 3, 72, 76, 76 + 512 + 4, host, headerDigest: true, dataDigest: true) == nil)
    // Padding in front of the data.
    #expect(fault(0x04, 0, 72, 128, 128 + 512, host, alignment: 64) == nil)
    #expect(fault(0x04, 0, 72, 72, 72 + 512, host, alignment: 64) == .invalidField(at: 3))
    #expect(fault(0x04, 0, 72, 74, 74 + 512, host) == .invalidField(at: 3))
    #expect(fault(0x04, 0, 72, 68, 72 + 512, host) == .invalidField(at: 3))
    #expect(fault(0x04, 1, 72, 72, 76 + 512, host, headerDigest: true) == .invalidField(at: 3))
    #expect(fault(0x04, 0, 72, 0, 72 + 512, host) == .invalidField(at: 3))
    for length: UInt32 in [0, 8, 71] { #expect(fault(0x04, 0, 72, 0, length, host) == .invalidField(at: 4)) }
    #expect(fault(0x04, 1, 72, 0, 75, host, headerDigest: true) == .invalidField(at: 4))
    // Nothing but padding, or not even room for the digest.
    #expect(fault(0x04, 0, 72, 128, 128, host) == .invalidField(at: 4))
    #expect(fault(0x04, 2, 72, 72, 76, host, dataDigest: true) == .invalidField(at: 4))
    #expect(fault(0x04, 2, 72, 0, 72, host, dataDigest: true) == .invalidField(at: 1))
    #expect(fault(0x04, 0, 72, 72, 72 + 512, host, dataDigest: true) == .invalidField(at: 1))
    #expect(fault(0x04, 4, 72, 0, 72, host) == .invalidField(at: 1))
    #expect(fault(0x04, 0, 72, 72, 72 + 8193, host) == PDUFault(.limitExceeded, information: 4))
    #expect(fault(0x04, 0, 72, 72, 0xFFFF_FFFF, host) == PDUFault(.limitExceeded, information: 4))
    #expect(fault(0x04, 0, 72, 72, 72 + 131_072, host, capsule: nil) == nil)
    #expect(fault(0x04, 0, 72, 72, 72 + 131_073, host, capsule: nil) == PDUFault(.limitExceeded, information: 4))
  }

  @Test func dataPDUs() {
    let cases: [(UInt8, PDUDirection, FatalErrorStatus)] = [
      (0x06, .hostToController, .limitExceeded), (0x07, .controllerToHost, .dataTransferOutOfRange),
    ]
    for (type, direction, overLimit) in cases {
      #expect(fault(type, 0x04, 24, 24, 24 + 131_072, direction) == nil)
      #expect(fault(type, 0x07, 24, 28, 28 + 4096 + 4, direction, headerDigest: true, dataDigest: true) == nil)
      #expect(fault(type, 0x04, 24, 24, 24, direction) == .invalidField(at: 4))
      #expect(fault(type, 0x04, 24, 24, 23, direction) == .invalidField(at: 4))
      #expect(fault(type, 0x14, 24, 24, 28, direction) == .invalidField(at: 1))
      #expect(fault(type, 0x05, 24, 28, 32, direction) == .invalidField(at: 1))
      #expect(fault(type, 0x06, 24, 24, 32, direction) == .invalidField(at: 1))
      #expect(fault(type, 0x04, 24, 20, 28, direction) == .invalidField(at: 3))
      #expect(fault(type, 0x04, 24, 24, 24 + 131_073, direction) == PDUFault(overLimit, information: 4))
      #expect(fault(type, 0x04, 24, 24, 0xFFFF_FFFF, direction) == PDUFault(overLimit, information: 4))
    }
    #expect(fault(0x07, 0x0C, 24, 24, 28, .controllerToHost) == nil)
    #expect(fault(0x07, 0x08, 24, 24, 28, .controllerToHost) == .invalidField(at: 1))
    #expect(fault(0x06, 0x0C, 24, 24, 28, .hostToController) == .invalidField(at: 1))
  }

  /// Headers we make ourselves pass, and any header that passes has lengths that add up.
  @Test func whatPassesAddsUp() {
    var generator = SeededGenerator(seed: 1)
    var passed = 0
    for round in 0..<60_000 {
      let digests = generator.next()
      let headerDigest = digests & 1 != 0
      let dataDigest = digests & 2 != 0
      var raw = generator.bytes(8)
      let type = PDUType.allCases[Int(generator.next() % 9)]
      if round & 1 == 0 { (raw[0], raw[2]) = (type.rawValue, type.headerLength) }
      if round & 2 == 0 { raw[1] = (headerDigest ? 1 : 0) | (dataDigest ? 2 : 0) }
      if round & 4 == 0 { (raw[5], raw[6], raw[7]) = (raw[5] & 1, 0, 0) }
      guard let header = try? decode(PDUCommonHeader.self, raw) else {
        Issue.record("8 bytes are a header")
        return
      }
      for direction in [PDUDirection.hostToController, .controllerToHost] {
        let fault = header.validate(
          direction: direction, headerDigest: headerDigest, dataDigest: dataDigest, maximumDataLength: 131_072,
          maximumCapsuleDataLength: 8192)
        guard fault == nil, let type = header.type else { continue }
        if type == .hostToControllerTermination || type == .controllerToHostTermination { continue }
        passed += 1
        #expect(header.dataLength <= 131_072)
        let headerEnd = UInt32(header.headerLength) + (header.hasHeaderDigest ? 4 : 0)
        if header.dataLength == 0 {
          #expect(header.totalLength == headerEnd)
        } else {
          #expect(header.totalLength == UInt32(header.dataOffset) + header.dataLength + (header.hasDataDigest ? 4 : 0))
          #expect(UInt32(header.dataOffset) >= headerEnd)
        }
      }
    }
    #expect(passed > 100)
    for type in PDUType.allCases where type != .hostToControllerTermination && type != .controllerToHostTermination {
      for alignment: UInt32 in [4, 8, 16, 100, 128] {
        for digests in 0..<4 {
          let isSetUp = type == .initializeConnectionRequest || type == .initializeConnectionResponse
          let headerDigest = digests & 1 != 0 && !isSetUp
          let carries = type == .hostToControllerData || type == .controllerToHostData || type == .capsuleCommand
          let header = PDUCommonHeader(
            type, dataLength: carries ? 4096 : 0, headerDigest: headerDigest, dataDigest: digests & 2 != 0, alignment: alignment)
          let fault = header.validate(
            direction: type.direction, headerDigest: headerDigest, dataDigest: digests & 2 != 0, maximumDataLength: 4096,
            alignment: alignment)
          #expect(fault == nil && header.dataLength == (carries ? 4096 : 0))
        }
      }
    }
  }
}
