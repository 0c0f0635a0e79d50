import NVMe
import Testing

@Suite struct PDUTests {
  @Test func types() {
    let expected: [(PDUType, UInt8, UInt8, PDUDirection)] = [
      (.initializeConnectionRequest, 0x00, 128, .hostToController), (.initializeConnectionResponse, 0x01, 128, .controllerToHost),
      (.hostToControllerTermination, 0x02, 24, .hostToController), (.controllerToHostTermination, 0x03, 24, .controllerToHost),
      (.capsuleCommand, 0x04, 72, .hostToController), (.capsuleResponse, 0x05, 24, .controllerToHost),
      (.hostToControllerData, 0x06, 24, .hostToController), (.controllerToHostData, 0x07, 24, .controllerToHost),
      (.readyToTransfer, 0x09, 24, .controllerToHost),
    ]
    #expect(PDUType.allCases == expected.map(\.0))
    for (type, value, headerLength, direction) in expected {
      #expect(type.rawValue == value && type.headerLength == headerLength && type.direction == direction)
    }
  }

  @Test func fatalErrorStatuses() {
    #expect(FatalErrorStatus.allCases.map(\.rawValue) == [1, 2, 3, 4, 5, 6])
    #expect(FatalErrorStatus.invalidHeaderField.rawValue == 1 && FatalErrorStatus.sequenceError.rawValue == 2)
    #expect(FatalErrorStatus.headerDigestError.rawValue == 3 && FatalErrorStatus.dataTransferOutOfRange.rawValue == 4)
    #expect(FatalErrorStatus.limitExceeded.rawValue == 5 && FatalErrorStatus.unsupportedParameter.rawValue == 6)
  }

  @Test func commonHeader() {
    checkLayout(
      PDUCommonHeader(typeByte: 0x04, flags: 0x03, headerLength: 0x48, dataOffset: 0x4C, totalLength: 0x0706_0504),
      [(0, "04 03 48 4C 04 05 06 07")])
  }

  @Test func initializeConnectionRequest() {
    var request = InitializeConnectionRequest(
      headerDigest: true, dataDigest: true, hostDataAlignment: 0x1F, maximumReadyToTransferZeroBased: 0x0F0E_0D0C)
    checkLayout(request, [(0, "00 00 80 00 80 00 00 00"), (10, "1F"), (11, "03"), (12, "0C 0D 0E 0F")])
    #expect(request.headerDigest && request.dataDigest && request.hostDataAlignmentBytes == 128 && request.fault == nil)
    checkLayout(
      InitializeConnectionRequest(headerDigest: true, dataDigest: false), [(0, "00 00 80 00 80"), (11, "01")])
    checkLayout(
      InitializeConnectionRequest(headerDigest: false, dataDigest: true), [(0, "00 00 80 00 80"), (11, "02")])
    request.hostDataAlignment = 32
    #expect(request.fault == .invalidField(at: 10))
    request.formatVersion = 0x0908
    #expect(request.fault == PDUFault(.unsupportedParameter, information: 8))
    checkLayout(request, [(0, "00 00 80 00 80"), (8, "08 09"), (10, "20 03"), (12, "0C 0D 0E 0F")])
  }

  @Test func initializeConnectionResponse() {
    var response = InitializeConnectionResponse(
      headerDigest: false, dataDigest: true, controllerDataAlignment: 3, maximumHostToControllerDataLength: 0x0002_0000)
    checkLayout(response, [(0, "01 00 80 00 80 00 00 00"), (10, "03"), (11, "02"), (12, "00 00 02 00")])
    #expect(!response.headerDigest && response.dataDigest && response.controllerDataAlignmentBytes == 16 && response.fault == nil)
    for length: UInt32 in [0, 4095, 4098, 0xFFFF_FFFF] {
      response.maximumHostToControllerDataLength = length
      #expect(response.fault == .invalidField(at: 12))
    }
    response.controllerDataAlignment = 32
    #expect(response.fault == .invalidField(at: 10))
    response.formatVersion = 1
    #expect(response.fault == PDUFault(.unsupportedParameter, information: 8))
  }

  @Test func capsules() {
    let command = SubmissionEntry.flush(commandIdentifier: 0x0102, namespaceIdentifier: 1)
    checkLayout(
      CapsuleCommandHeader(command, headerDigest: false, dataDigest: true),
      [(0, "04 00 48 00 48 00 00 00"), (8, "00 40 02 01 01"), (47, "5A")])
    checkLayout(
      CapsuleCommandHeader(command, inCapsuleLength: 0x1000, headerDigest: true, dataDigest: true),
      [(0, "04 03 48 4C 50 10 00 00"), (8, "00 40 02 01 01"), (47, "5A")])
    checkLayout(
      CapsuleCommandHeader(command, inCapsuleLength: 0x200, headerDigest: false, dataDigest: false, alignment: 128),
      [(0, "04 00 48 80 80 02 00 00"), (8, "00 40 02 01 01"), (47, "5A")])
    let completion = CompletionEntry(
      commandIdentifier: 0x0102, status: .invalidField.withDoNotRetry, result: 0x0807_0605_0403_0201, submissionQueueHead: 5)
    checkLayout(
      CapsuleResponse(completion, headerDigest: false),
      [(0, "05 00 18 00 18 00 00 00"), (8, "01 02 03 04 05 06 07 08"), (16, "05"), (20, "02 01 04 80")])
    checkLayout(
      CapsuleResponse(completion, headerDigest: true),
      [(0, "05 01 18 00 1C 00 00 00"), (8, "01 02 03 04 05 06 07 08"), (16, "05"), (20, "02 01 04 80")])
  }

  @Test func data() {
    let fromHost = DataHeader.hostToController(
      commandIdentifier: 0x0908, transferTag: 0x0B0A, dataOffset: 0x0F0E_0D0C, dataLength: 0x0000_1000, isLast: true,
      headerDigest: true, dataDigest: true)
    checkLayout(
      fromHost, [(0, "06 07 18 1C 20 10 00 00"), (8, "08 09"), (10, "0A 0B"), (12, "0C 0D 0E 0F"), (16, "00 10 00 00")])
    #expect(fromHost.isLast && !fromHost.isSuccess && fromHost.fault == nil)
    let fromController = DataHeader.controllerToHost(
      commandIdentifier: 0x0908, dataOffset: 0x1000, dataLength: 0x2000, isLast: true, isSuccess: true, headerDigest: false,
      dataDigest: false)
    checkLayout(fromController, [(0, "07 0C 18 18 18 20 00 00"), (8, "08 09"), (12, "00 10 00 00"), (16, "00 20 00 00")])
    #expect(fromController.isLast && fromController.isSuccess && fromController.fault == nil)
    let middle = DataHeader.controllerToHost(
      commandIdentifier: 1, dataOffset: 0, dataLength: 4, isLast: false, isSuccess: false, headerDigest: false, dataDigest: true,
      alignment: 64)
    checkLayout(middle, [(0, "07 02 18 40 48"), (8, "01"), (16, "04")])
    var wrong = fromHost
    wrong.dataOffset = 2
    #expect(wrong.fault == .invalidField(at: 12))
    wrong.dataOffset = 4
    wrong.dataLength = 0x0FFF
    #expect(wrong.fault == .invalidField(at: 16))
  }

  @Test func readyToTransfer() {
    let ready = ReadyToTransfer(
      commandIdentifier: 0x0908, transferTag: 0x0B0A, requestedOffset: 0x0F0E_0D0C, requestedLength: 0x1312_1110, headerDigest: false)
    checkLayout(
      ready, [(0, "09 00 18 00 18 00 00 00"), (8, "08 09"), (10, "0A 0B"), (12, "0C 0D 0E 0F"), (16, "10 11 12 13")])
    checkLayout(
      ReadyToTransfer(commandIdentifier: 0, transferTag: 0, requestedOffset: 0, requestedLength: 0, headerDigest: true),
      [(0, "09 01 18 00 1C 00 00 00")])
  }

  @Test func otherTypesAreRefused() {
    for byte in UInt8.min...UInt8.max {
      let raw = image(128, [(0, String(byte, radix: 16).count == 1 ? "0" + String(byte, radix: 16) : String(byte, radix: 16))])
      func refused<Value: FixedCodec>(_: Value.Type, unless types: [PDUType]) {
        if types.contains(where: { $0.rawValue == byte }) {
          #expect(throws: Never.self) { try decode(Value.self, raw, at: 0) }
        } else {
          #expect(throws: CodecError.wrongType) { try decode(Value.self, raw, at: 0) }
        }
      }
      refused(InitializeConnectionRequest.self, unless: [.initializeConnectionRequest])
      refused(InitializeConnectionResponse.self, unless: [.initializeConnectionResponse])
      refused(CapsuleCommandHeader.self, unless: [.capsuleCommand])
      refused(CapsuleResponse.self, unless: [.capsuleResponse])
      refused(DataHeader.self, unless: [.hostToControllerData, .controllerToHostData])
      refused(ReadyToTransfer.self, unless: [.readyToTransfer])
    }
  }
}
