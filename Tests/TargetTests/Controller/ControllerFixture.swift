import NVMe
import Testing

@testable import Target

/// Names, descriptions and shortcuts of the controller's tests.
enum Fixture {
  static let volumeName = QualifiedName("nqn.2025-01.io.keelson:volume:one")!
  static let host = QualifiedName("nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555")!
  static let otherHost = QualifiedName("nqn.2014-08.org.nvmexpress:uuid:99999999-2222-3333-4444-555555555555")!
  static let hostIdentifier = Identifier128("11111111-2222-3333-4444-555555555555")!
  static let uuid = Identifier128("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee")!
  static let guid = Identifier128("00112233445566778899aabbccddeeff")!
  static let second: UInt64 = 1_000_000_000

  static func namespace(
    sizeBytes: UInt64 = 1 << 30, blockBytes: UInt32 = 512, anaState: ANAState = .optimized, isWriteProtected: Bool = false,
    hasVolatileWriteCache: Bool = true
  ) -> NamespaceDescription {
    NamespaceDescription(
      sizeBytes: sizeBytes, blockBytes: blockBytes, uuid: uuid, guid: guid, anaState: anaState, isWriteProtected: isWriteProtected,
      hasVolatileWriteCache: hasVolatileWriteCache)
  }

  static func description(
    namespace: NamespaceDescription? = Fixture.namespace(), controllerIdentifiers: ClosedRange<UInt16> = 1...0xFFEF,
    allowedHosts: HostFilter = .any
  ) -> SubsystemDescription {
    SubsystemDescription(
      name: volumeName, kind: .nvm, serialNumber: "SERIAL-0001", firmwareRevision: "0.1", controllerIdentifiers: controllerIdentifiers,
      namespace: namespace, allowedHosts: allowedHosts)
  }

  static func subsystem(namespace: NamespaceDescription? = Fixture.namespace()) -> Subsystem {
    Subsystem(description(namespace: namespace))
  }

  static func discovery(_ records: [DiscoveryRecord] = []) -> Subsystem {
    Subsystem(.discovery(serialNumber: "DISCOVERY-1"), discoveryLog: DiscoveryLog(records: records, generation: 7))
  }

  static func data(
    _ subsystem: QualifiedName = volumeName, controller: UInt16 = 0xFFFF, host: QualifiedName = Fixture.host,
    hostIdentifier: Identifier128 = Fixture.hostIdentifier
  ) -> [UInt8] {
    let data = ConnectData(hostIdentifier: hostIdentifier, controllerIdentifier: controller, subsystemName: subsystem, hostName: host)
    return written(ConnectData.byteCount) { data.encode(into: &$0) }
  }

  static func request(
    _ data: [UInt8] = data(), queue: UInt16 = 0, sizeZeroBased: UInt16 = 31, keepAliveMilliseconds: UInt32 = 5_000,
    disableFlowControl: Bool = false
  ) throws -> ConnectRequest {
    let entry = SubmissionEntry.connect(
      commandIdentifier: 1, queueIdentifier: queue, queueSizeZeroBased: sizeZeroBased, keepAliveMilliseconds: keepAliveMilliseconds,
      disableFlowControl: disableFlowControl)
    return try decode(data, { bytes, _ in try ConnectRequest(entry, data: bytes) })
  }

  /// What `body` writes into `count` bytes that are FFh before.
  static func written(_ count: Int, _ body: (inout MutableRawSpan) -> Void) -> [UInt8] {
    var array = [UInt8](repeating: 0xFF, count: count)
    var span = array.mutableSpan
    var raw = unsafe span.mutableBytes
    body(&raw)
    return array
  }

  /// A controller that a host has connected and enabled.
  static func enabledController(
    _ subsystem: Subsystem = Fixture.subsystem(), keepAliveMilliseconds: UInt32 = 5_000, now: UInt64 = 0
  ) throws -> Controller {
    let controller = try connectedController(subsystem, keepAliveMilliseconds: keepAliveMilliseconds, now: now)
    try controller.enable()
    return controller
  }

  static func connectedController(
    _ subsystem: Subsystem = Fixture.subsystem(), keepAliveMilliseconds: UInt32 = 5_000, now: UInt64 = 0
  ) throws -> Controller {
    let request = try request(data(subsystem.name), keepAliveMilliseconds: keepAliveMilliseconds)
    return try subsystem.connectAdmin(request, portal: 1, now: now).controller
  }
}

/// What `body` makes of the bytes of `array` from `offset` on.
func decode<Value>(_ array: [UInt8], at offset: Int = 0, _ body: (RawSpan, Int) throws -> Value) rethrows -> Value {
  let span = array.span
  return try body(unsafe span.bytes, offset)
}

/// CC as Linux writes it.
let linuxConfiguration: UInt32 = 6 << 16 | 4 << 20 | 1

extension Controller {
  /// Executes a command and returns its completion with the data it sent. Fails the test on any other outcome.
  func completed(_ entry: SubmissionEntry, now: UInt64 = 0) throws -> (completion: AdminCompletion, data: [UInt8]) {
    let (outcome, data) = run(entry, now: now)
    guard case .complete(let completion) = outcome else {
      Issue.record("the command was not completed but \(outcome)")
      return (AdminCompletion(status: .internalError), [])
    }
    return (completion, Array(data[..<completion.dataByteCount]))
  }

  func run(_ entry: SubmissionEntry, now: UInt64 = 0) -> (AdminOutcome, [UInt8]) {
    var reply = [UInt8](repeating: 0xEE, count: replyByteCount(entry))
    var span = reply.mutableSpan
    var raw = unsafe span.mutableBytes
    let outcome = execute(entry, reply: &raw, now: now)
    return (outcome, reply)
  }

  func status(of entry: SubmissionEntry) throws -> Status { try completed(entry).completion.status }

  func getProperty(_ property: ControllerProperty) throws -> UInt64 {
    let completion = try completed(
      .propertyGet(commandIdentifier: 2, offset: property.rawValue, isEightBytes: property.byteCount == 8)
    ).completion
    #expect(completion.status == .success)
    return completion.result
  }

  @discardableResult
  func setConfiguration(_ value: UInt32) throws -> AdminCompletion {
    try completed(.propertySet(commandIdentifier: 3, offset: 0x14, value: UInt64(value))).completion
  }

  func enable() throws {
    #expect(try setConfiguration(linuxConfiguration).effect == .enable)
    effectPerformed(.enable)
    #expect(status.isReady)
  }

  func park(_ commandIdentifier: UInt16) { #expect(run(.asynchronousEventRequest(commandIdentifier: commandIdentifier)).0 == .parked) }

  /// Asks for the events in `configuration`.
  func configureEvents(_ configuration: AsynchronousEventConfiguration) throws {
    #expect(
      try status(of: .setFeatures(commandIdentifier: 4, identifier: 0x0B, dword11: configuration.rawValue)) == .success)
  }

  func log(_ page: LogPage, byteCount: UInt32, offset: UInt64 = 0, retain: Bool = false, parameter: UInt8 = 0) throws -> [UInt8] {
    let (completion, data) = try completed(
      .getLogPage(
        commandIdentifier: 5, identifier: page.rawValue, byteCount: byteCount, offset: offset, retainAsynchronousEvent: retain,
        specificParameter: parameter))
    #expect(completion.status == .success)
    return data
  }
}
