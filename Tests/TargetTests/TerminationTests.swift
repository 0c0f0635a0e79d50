import NVMe
import Reactor
import Target
import Testing

/// PDUs that are wrong: the connection ends with the termination PDU that says why, and no other is harmed.
@Suite(.serialized) struct TerminationTests {
  /// How far the connection has come when the PDU arrives.
  enum Stage: Sendable { case opened, initialized, connected, awaitingData }

  struct Case: CustomTestStringConvertible, Sendable {
    var name: String
    var stage: Stage
    var status: FatalErrorStatus
    var information: UInt32 = 0
    /// What is sent; the R2T is that of an 8 KiB write, at the stage where there is one.
    var bytes: @Sendable (TestHost, ReadyToTransfer?) -> [UInt8]
    var testDescription: String { name }
  }

  private static let initialization: [UInt8] = encoded(128) {
    InitializeConnectionRequest(headerDigest: false, dataDigest: false).encode(into: &$0)
  }

  private static func command(_ lba: UInt64 = 0) -> SubmissionEntry {
    .read(commandIdentifier: 1, namespaceIdentifier: 1, startingLBA: lba, blockCount: 1, data: .transportDataBlock(length: 512))
  }

  /// A PDU with bytes written over.
  private static func patched(_ bytes: [UInt8], _ offset: Int, _ values: UInt8...) -> [UInt8] {
    var bytes = bytes
    for (index, value) in values.enumerated() { bytes[offset + index] = value }
    return bytes
  }

  /// A PDU that only a controller sends.
  private static func fromController(_ type: PDUType) -> [UInt8] {
    let length = Int(type.headerLength)
    return encoded(length) { PDUCommonHeader(type, headerDigest: false, dataDigest: false).encode(into: &$0) }
  }

  private static func data(
    _ host: TestHost, _ request: ReadyToTransfer?, offset: Int = 0, count: Int = 8192, isLast: Bool = true,
    change: (inout ReadyToTransfer) -> Void = { _ in }
  ) -> [UInt8] {
    var request = request!
    change(&request)
    return host.dataPDU(request, offset: offset, pattern(count), isLast: isLast)
  }

  static let cases: [Case] = [
    Case(name: "unknown PDU type", stage: .opened, status: .invalidHeaderField) { _, _ in [0x55, 0, 24, 0, 24, 0, 0, 0] },
    Case(name: "unknown PDU type later", stage: .connected, status: .invalidHeaderField) { _, _ in [0x08, 0, 24, 0, 24, 0, 0, 0] },
    Case(name: "wrong PFV", stage: .opened, status: .unsupportedParameter, information: 8) { _, _ in patched(initialization, 8, 1) },
    Case(name: "HPDA of 32", stage: .opened, status: .invalidHeaderField, information: 10) { _, _ in patched(initialization, 10, 32) },
    Case(name: "ICReq with flags", stage: .opened, status: .invalidHeaderField, information: 1) { _, _ in patched(initialization, 1, 1) },
    Case(name: "ICReq with a wrong PLEN", stage: .opened, status: .invalidHeaderField, information: 4) { _, _ in
      patched(initialization, 4, 127)
    },
    Case(name: "ICReq with a wrong HLEN", stage: .opened, status: .invalidHeaderField, information: 2) { _, _ in
      patched(initialization, 2, 64)
    },
    Case(name: "command before ICReq", stage: .opened, status: .sequenceError) { host, _ in host.capsule(command()) },
    Case(name: "data before ICReq", stage: .opened, status: .sequenceError) { host, _ in
      data(host, ReadyToTransfer(commandIdentifier: 0, transferTag: 0, requestedOffset: 0, requestedLength: 8192, headerDigest: false))
    },
    Case(name: "ICReq twice", stage: .initialized, status: .sequenceError) { _, _ in initialization },
    Case(name: "ICReq on a queue", stage: .connected, status: .sequenceError) { _, _ in initialization },
    Case(name: "data before Connect", stage: .initialized, status: .sequenceError) { host, _ in
      data(host, ReadyToTransfer(commandIdentifier: 0, transferTag: 0, requestedOffset: 0, requestedLength: 8192, headerDigest: false))
    },
    Case(name: "ICResp from a host", stage: .connected, status: .invalidHeaderField) { _, _ in fromController(.initializeConnectionResponse)
    },
    Case(name: "R2T from a host", stage: .connected, status: .invalidHeaderField) { _, _ in fromController(.readyToTransfer) },
    Case(name: "response from a host", stage: .connected, status: .invalidHeaderField) { _, _ in fromController(.capsuleResponse) },
    Case(name: "C2HData from a host", stage: .connected, status: .invalidHeaderField) { _, _ in
      patched(fromController(.controllerToHostData), 4, 28) + [0, 0, 0, 0]
    },
    Case(name: "C2HTermReq from a host", stage: .connected, status: .invalidHeaderField) { _, _ in
      fromController(.controllerToHostTermination)
    },
    Case(name: "capsule with a short HLEN", stage: .connected, status: .invalidHeaderField, information: 2) { host, _ in
      patched(host.capsule(command()), 2, 71)
    },
    Case(name: "capsule with a short PLEN", stage: .connected, status: .invalidHeaderField, information: 4) { host, _ in
      patched(host.capsule(command()), 4, 71)
    },
    Case(name: "capsule with an unknown flag", stage: .connected, status: .invalidHeaderField, information: 1) { host, _ in
      patched(host.capsule(command()), 1, 0x80)
    },
    Case(name: "capsule with a digest nobody agreed to", stage: .connected, status: .invalidHeaderField, information: 1) { host, _ in
      patched(host.capsule(command()), 1, 1)
    },
    Case(name: "data inside the header", stage: .connected, status: .invalidHeaderField, information: 3) { host, _ in
      patched(host.capsule(command(), data: pattern(512)), 3, 64)
    },
    Case(name: "data at an odd offset", stage: .connected, status: .invalidHeaderField, information: 3) { host, _ in
      patched(host.capsule(command(), data: pattern(512)), 3, 74)
    },
    Case(name: "too much data in a capsule", stage: .connected, status: .limitExceeded, information: 4) { host, _ in
      host.capsule(command(), data: pattern(8196))
    },
    Case(name: "a capsule of 4 GiB", stage: .connected, status: .limitExceeded, information: 4) { host, _ in
      patched(host.capsule(command(), data: pattern(512)), 4, 0xFF, 0xFF, 0xFF, 0xFF)
    },
    Case(name: "data nobody asked for", stage: .connected, status: .invalidHeaderField, information: 10) { host, _ in
      data(host, ReadyToTransfer(commandIdentifier: 1, transferTag: 0, requestedOffset: 0, requestedLength: 8192, headerDigest: false))
    },
    Case(name: "data with a wrong tag", stage: .awaitingData, status: .invalidHeaderField, information: 10) { host, request in
      data(host, request) { $0.transferTag += 1 }
    },
    Case(name: "data with a tag far away", stage: .awaitingData, status: .invalidHeaderField, information: 10) { host, request in
      data(host, request) { $0.transferTag = 0xFFFF }
    },
    Case(name: "data for another command", stage: .awaitingData, status: .invalidHeaderField, information: 8) { host, request in
      data(host, request) { $0.commandIdentifier += 1 }
    },
    Case(name: "data from the middle on", stage: .awaitingData, status: .dataTransferOutOfRange, information: 12) { host, request in
      data(host, request, offset: 4096, count: 4096)
    },
    Case(name: "data at an odd place", stage: .awaitingData, status: .invalidHeaderField, information: 12) { host, request in
      data(host, request, offset: 2, count: 4096)
    },
    Case(name: "more data than asked for", stage: .awaitingData, status: .dataTransferOutOfRange, information: 16) { host, request in
      data(host, request, count: 8196)
    },
    Case(name: "DATAL other than the data", stage: .awaitingData, status: .invalidHeaderField, information: 16) { host, request in
      patched(data(host, request), 16, 0, 0x10)
    },
    Case(name: "all data without LAST", stage: .awaitingData, status: .invalidHeaderField, information: 1) { host, request in
      data(host, request, isLast: false)
    },
    Case(name: "LAST before the last", stage: .awaitingData, status: .invalidHeaderField, information: 1) { host, request in
      data(host, request, count: 4096, isLast: true)
    },
    Case(name: "data PDU without data", stage: .awaitingData, status: .invalidHeaderField, information: 4) { host, request in
      patched([UInt8](data(host, request).prefix(24)), 3, 0, 24, 0, 0, 0)
    },
    Case(name: "data PDU over the limit", stage: .awaitingData, status: .limitExceeded, information: 4) { host, request in
      [UInt8](data(host, request, count: (1 << 20) + 4).prefix(4096))
    },
  ]

  @Test(arguments: cases) func `a PDU that is wrong ends its connection alone`(item: Case) throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let bystander = try TestSession(target, volume, .init(host: .number(2)))
    var host: TestHost
    var request: ReadyToTransfer?
    switch item.stage {
    case .opened: host = try TestHost(target.address)
    case .initialized:
      host = try TestHost(target.address)
      try host.initialize()
    case .connected, .awaitingData: host = try TestSession(target, volume).queue
    }
    if item.stage == .awaitingData {
      try host.send(
        host.capsule(
          .write(commandIdentifier: 7, namespaceIdentifier: 1, startingLBA: 0, blockCount: 16, data: .transportDataBlock(length: 8192))))
      guard case .readyToTransfer(let received) = try host.receivePDU() else { throw HostFailure.unexpected("no R2T") }
      request = received
    }
    try host.send(item.bytes(host, request))
    #expect(try host.receivePDU() == .termination(item.status.rawValue, item.information))
    #expect(host.isClosedByTarget())
    #expect(volume.submissions.isEmpty)
    #expect(try bystander.works())
    host.companion?.close()
    host.close()
    bystander.close()
    #expect(target.isQuietSoon())
    #expect(target.log.contains { $0.contains("protocol error") })
  }

  @Test func `more commands than the queue has entries end the connection`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let bystander = try TestSession(target, target.addVolume(2), .init(host: .number(2)))
    let session = try TestSession(target, volume, .init(entries: 8))
    volume.set(.hold)
    for identifier in 0..<8 {
      try session.queue.send(session.queue.capsule(.flush(commandIdentifier: UInt16(identifier), namespaceIdentifier: 1)))
    }
    #expect(TestTarget.eventually { volume.begunCount == 8 })
    try session.queue.send(session.queue.capsule(.flush(commandIdentifier: 8, namespaceIdentifier: 1)))
    #expect(try session.queue.receivePDU() == .termination(FatalErrorStatus.sequenceError.rawValue, 0))
    // Commands that end after the termination request are not answered any more.
    volume.release()
    #expect(session.queue.isClosedByTarget())
    #expect(try bystander.works())
  }

  @Test func `nothing follows a termination request, and a peer that stays is cut off`() throws {
    var limits = TargetLimits()
    limits.terminationNanoseconds = 300_000_000
    limits.tickNanoseconds = 50_000_000
    let target = try TestTarget(limits: limits)
    defer { target.stop() }
    let volume = target.addVolume()
    let session = try TestSession(target, volume)
    volume.set(.hold)
    try session.queue.send(session.queue.capsule(.flush(commandIdentifier: 3, namespaceIdentifier: 1)))
    #expect(TestTarget.eventually { volume.begunCount == 1 })
    try session.queue.send([0x55, 0, 24, 0, 24, 0, 0, 0])
    #expect(try session.queue.receivePDU() == .termination(FatalErrorStatus.invalidHeaderField.rawValue, 0))
    volume.release()
    #expect(session.queue.isClosedByTarget())
    // The host keeps its side open.
    #expect(TestTarget.eventually { target.server.registry.connectionCount == 1 })
  }

  @Test func `a host that terminates is let go`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let session = try TestSession(target, target.addVolume())
    let request = TerminationRequest(direction: .hostToController, fault: .invalidField(at: 4))
    let offending = [UInt8](repeating: 9, count: 24)
    try session.queue.send(encoded(48) { bytes in _ = unsafe request.encode(into: &bytes, offendingHeader: offending.span.bytes) })
    #expect(session.queue.isClosedByTarget())
  }
}
