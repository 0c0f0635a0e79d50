import NVMe
import Reactor
import Testing

/// A host's identity.
struct HostName {
  var name = QualifiedName("nqn.2014-08.org.nvmexpress:uuid:test-host-1")!
  var identifier = Identifier128(high: 7, low: 9)

  static func number(_ number: Int) -> HostName {
    HostName(
      name: QualifiedName("nqn.2014-08.org.nvmexpress:uuid:test-host-\(number)")!,
      identifier: Identifier128(high: 7, low: UInt64(number)))
  }
}

/// How a command ended.
struct Reply {
  var completion: CompletionEntry
  var data: [UInt8] = []
  /// No response capsule came, the last data PDU said success.
  var isImplied = false

  var status: Status { completion.status }
}

extension TestHost {
  /// ICReq, and what the target answers.
  @discardableResult
  func initialize(headerDigest: Bool = false, dataDigest: Bool = false, hostDataAlignment: UInt8 = 0) throws
    -> InitializeConnectionResponse
  {
    let request = InitializeConnectionRequest(headerDigest: headerDigest, dataDigest: dataDigest, hostDataAlignment: hostDataAlignment)
    try send(encoded(InitializeConnectionRequest.byteCount) { request.encode(into: &$0) })
    guard case .initialization(let response) = try receivePDU() else { throw HostFailure.unexpected("no ICResp") }
    self.headerDigest = response.headerDigest
    self.dataDigest = response.dataDigest
    alignment = request.hostDataAlignmentBytes
    return response
  }

  /// Connect, and its completion.
  func connect(
    to subsystem: QualifiedName, queue: UInt16 = 0, entries: Int = 32, controller: UInt16 = ConnectData.dynamicController,
    as host: HostName = HostName(), keepAliveMilliseconds: UInt32 = 0, disableFlowControl: Bool = false
  ) throws -> CompletionEntry {
    let entry = SubmissionEntry.connect(
      commandIdentifier: identifier(), queueIdentifier: queue, queueSizeZeroBased: UInt16(entries - 1),
      keepAliveMilliseconds: keepAliveMilliseconds, disableFlowControl: disableFlowControl)
    let data = ConnectData(
      hostIdentifier: host.identifier, controllerIdentifier: controller, subsystemName: subsystem, hostName: host.name)
    return try command(entry, data: encoded(ConnectData.byteCount) { data.encode(into: &$0) }).completion
  }

  /// Sends a command and sees it through: in-capsule `data` if its pointer says so, else on R2T in PDUs of at most `chunk` bytes.
  func command(_ entry: SubmissionEntry, data: [UInt8] = [], chunk: Int = .max) throws -> Reply {
    try send(capsule(entry, data: entry.dataPointer.isInCapsule ? data : []))
    return try finish(entry.commandIdentifier, data: data, chunk: chunk)
  }

  /// Waits for the end of the command `identifier`, answering R2Ts for it.
  func finish(_ identifier: UInt16, data: [UInt8] = [], chunk: Int = .max) throws -> Reply {
    var received: [UInt8] = []
    while true {
      switch try receivePDU() {
      case .response(let completion):
        guard completion.commandIdentifier == identifier else { throw HostFailure.unexpected("\(completion)") }
        return Reply(completion: completion, data: received)
      case .data(let header, let bytes):
        guard header.commandIdentifier == identifier, Int(header.dataOffset) == received.count else {
          throw HostFailure.unexpected("\(header)")
        }
        received += bytes
        if header.isSuccess { return Reply(completion: CompletionEntry(commandIdentifier: identifier), data: received, isImplied: true) }
      case .readyToTransfer(let request):
        guard request.commandIdentifier == identifier else { throw HostFailure.unexpected("\(request)") }
        try answer(request, data, chunk: chunk)
      case let other: throw HostFailure.unexpected("\(other)")
      }
    }
  }

  /// Sends what an R2T asks for.
  func answer(_ request: ReadyToTransfer, _ data: [UInt8], chunk: Int = .max) throws {
    var offset = Int(request.requestedOffset)
    let end = offset + Int(request.requestedLength)
    guard end <= data.count else { throw HostFailure.unexpected("\(request)") }
    while offset < end {
      let count = min(chunk, end - offset)
      try send(dataPDU(request, offset: offset, [UInt8](data[offset..<offset + count]), isLast: offset + count == end))
      offset += count
    }
  }

  // MARK: Admin

  func property(_ property: ControllerProperty) throws -> UInt64 {
    let reply = try command(
      .propertyGet(commandIdentifier: identifier(), offset: property.rawValue, isEightBytes: property.byteCount == 8))
    guard reply.status.isSuccess else { throw HostFailure.unexpected("\(reply)") }
    return reply.completion.result
  }

  func setConfiguration(_ value: UInt32) throws -> Status {
    try command(
      .propertySet(commandIdentifier: identifier(), offset: ControllerProperty.configuration.rawValue, value: UInt64(value))
    ).status
  }

  func controllerStatus() throws -> ControllerStatus { ControllerStatus(rawValue: UInt32(try property(.status))) }

  /// CC with EN and the entry sizes of the NVM command set.
  static let enabled: UInt32 = 0x0046_0001

  /// Enables the controller and waits until it is ready.
  func enable() throws {
    guard try setConfiguration(Self.enabled).isSuccess else { throw HostFailure.unexpected("CC was refused") }
    guard try TestTarget.eventually({ try controllerStatus().isReady }) else { throw HostFailure.timeout }
  }

  func identify(_ structure: UInt8, namespace: UInt32 = 0) throws -> Reply {
    try command(.identify(commandIdentifier: identifier(), structure: structure, namespaceIdentifier: namespace))
  }

  func identifyController() throws -> IdentifyController {
    let reply = try identify(0x01)
    guard reply.status.isSuccess else { throw HostFailure.unexpected("\(reply.completion)") }
    return try decoded(reply.data) { bytes in try IdentifyController(decoding: bytes) }
  }

  func identifyNamespace() throws -> IdentifyNamespace {
    let reply = try identify(0x00, namespace: 1)
    guard reply.status.isSuccess else { throw HostFailure.unexpected("\(reply.completion)") }
    return try decoded(reply.data) { bytes in try IdentifyNamespace(decoding: bytes) }
  }

  // MARK: I/O

  func read(_ lba: UInt64, blocks: Int, blockBytes: Int = 512) throws -> Reply {
    try command(
      .read(
        commandIdentifier: identifier(), namespaceIdentifier: 1, startingLBA: lba, blockCount: UInt32(blocks),
        data: .transportDataBlock(length: UInt32(blocks * blockBytes))))
  }

  /// Writes `data`, in the capsule or on R2T.
  func write(
    _ lba: UInt64, _ data: [UInt8], blockBytes: Int = 512, inCapsule: Bool = true, forceUnitAccess: Bool = false, chunk: Int = .max
  ) throws -> Reply {
    let length = UInt32(data.count)
    return try command(
      .write(
        commandIdentifier: identifier(), namespaceIdentifier: 1, startingLBA: lba, blockCount: UInt32(data.count / blockBytes),
        forceUnitAccess: forceUnitAccess, data: inCapsule ? .inCapsule(length: length) : .transportDataBlock(length: length)),
      data: data, chunk: chunk)
  }
}

/// A host connected to a volume: an admin queue and I/O queues, ready.
final class TestSession {
  let admin: TestHost
  let queues: [TestHost]
  let controller: UInt16

  struct Options {
    var host = HostName()
    var queueCount = 1
    var entries = 32
    var headerDigest = false
    var dataDigest = false
    var hostDataAlignment: UInt8 = 0
    var disableFlowControl = false
    var keepAliveMilliseconds: UInt32 = 0
    var timeoutSeconds = 5
    var receiveBufferBytes: Int32?
  }

  init(_ target: TestTarget, _ volume: TestVolume, _ options: Options = Options()) throws {
    func open() throws -> TestHost {
      let host = try TestHost(
        target.address, timeoutSeconds: options.timeoutSeconds, receiveBufferBytes: options.receiveBufferBytes)
      try host.initialize(
        headerDigest: options.headerDigest, dataDigest: options.dataDigest, hostDataAlignment: options.hostDataAlignment)
      return host
    }
    let admin = try open()
    self.admin = admin
    let answer = try admin.connect(
      to: volume.name, as: options.host, keepAliveMilliseconds: options.keepAliveMilliseconds,
      disableFlowControl: options.disableFlowControl)
    guard answer.status.isSuccess else { throw HostFailure.unexpected("\(answer)") }
    let controller = ConnectResult.controllerIdentifier(answer.result)
    self.controller = controller
    try admin.enable()
    queues = try (0..<options.queueCount).map { index in
      let queue = try open()
      queue.companion = admin
      let answer = try queue.connect(
        to: volume.name, queue: UInt16(index + 1), entries: options.entries, controller: controller, as: options.host,
        disableFlowControl: options.disableFlowControl)
      guard answer.status.isSuccess else { throw HostFailure.unexpected("\(answer)") }
      return queue
    }
  }

  var queue: TestHost { queues[0] }

  func close() {
    admin.close()
    for queue in queues { queue.close() }
  }

  /// Writes and reads a block somewhere: whether this session is unharmed.
  func works(at lba: UInt64 = 100) throws -> Bool {
    let data = pattern(1024, seed: Int(lba))
    guard try queue.write(lba, data).status.isSuccess else { return false }
    return try queue.read(lba, blocks: 2).data == data
  }
}
