import NVMe
import Testing

@Suite struct OpcodeTests {
  @Test func adminOpcodes() {
    let expected: [(AdminOpcode, UInt8)] = [
      (.deleteIOSubmissionQueue, 0x00), (.createIOSubmissionQueue, 0x01), (.getLogPage, 0x02), (.deleteIOCompletionQueue, 0x04),
      (.createIOCompletionQueue, 0x05), (.identify, 0x06), (.abort, 0x08), (.setFeatures, 0x09), (.getFeatures, 0x0A),
      (.asynchronousEventRequest, 0x0C), (.namespaceManagement, 0x0D), (.firmwareCommit, 0x10), (.firmwareImageDownload, 0x11),
      (.deviceSelfTest, 0x14), (.namespaceAttachment, 0x15), (.keepAlive, 0x18), (.directiveSend, 0x19), (.directiveReceive, 0x1A),
      (.virtualizationManagement, 0x1C), (.managementSend, 0x1D), (.managementReceive, 0x1E), (.capacityManagement, 0x20),
      (.lockdown, 0x24), (.doorbellBufferConfiguration, 0x7C), (.fabrics, 0x7F), (.formatNVM, 0x80), (.securitySend, 0x81),
      (.securityReceive, 0x82), (.sanitize, 0x84), (.getLBAStatus, 0x86),
    ]
    #expect(AdminOpcode.allCases == expected.map(\.0))
    for (opcode, value) in expected { #expect(opcode.rawValue == value) }
  }

  @Test func ioOpcodes() {
    let expected: [(IOOpcode, UInt8)] = [
      (.flush, 0x00), (.write, 0x01), (.read, 0x02), (.writeUncorrectable, 0x04), (.compare, 0x05), (.writeZeroes, 0x08),
      (.datasetManagement, 0x09), (.verify, 0x0C), (.reservationRegister, 0x0D), (.reservationReport, 0x0E), (.reservationAcquire, 0x11),
      (.reservationRelease, 0x15), (.copy, 0x19), (.fabrics, 0x7F),
    ]
    #expect(IOOpcode.allCases == expected.map(\.0))
    for (opcode, value) in expected { #expect(opcode.rawValue == value) }
  }

  @Test func fabricsCommandTypes() {
    let expected: [(FabricsCommandType, UInt8)] = [
      (.propertySet, 0x00), (.connect, 0x01), (.propertyGet, 0x04), (.authenticationSend, 0x05), (.authenticationReceive, 0x06),
      (.disconnect, 0x08),
    ]
    #expect(FabricsCommandType.allCases == expected.map(\.0))
    for (type, value) in expected { #expect(type.rawValue == value) }
  }
}
