import NVMe
import Testing

@testable import Target

@Suite struct ControllerFeaturesTests {
  private let invalidField = Status.invalidField.withDoNotRetry

  private func get(_ controller: Controller, _ feature: FeatureIdentifier, select: UInt8 = 0, dword11: UInt32 = 0) throws -> AdminCompletion
  {
    try controller.completed(
      .getFeatures(commandIdentifier: 1, identifier: feature.rawValue, select: select, dword11: dword11)
    ).completion
  }

  private func set(_ controller: Controller, _ feature: FeatureIdentifier, _ value: UInt32, now: UInt64 = 0) throws -> AdminCompletion {
    try controller.completed(.setFeatures(commandIdentifier: 1, identifier: feature.rawValue, dword11: value), now: now).completion
  }

  @Test(arguments: [
    (FeatureIdentifier.arbitration, UInt32(0x0102_0304), UInt32(0x7)), (.errorRecovery, 0x1234, 0), (.writeAtomicity, 1, 0),
    (.temperatureThreshold, 0x0150, 0xFFFF), (.asynchronousEventConfiguration, 0x91F, 0), (.keepAliveTimer, 30_000, 0),
  ])
  func `a value that is set is current and not the default`(feature: FeatureIdentifier, value: UInt32, normal: UInt32) throws {
    let controller = try Fixture.enabledController(keepAliveMilliseconds: 0)
    #expect(try get(controller, feature) == AdminCompletion(result: UInt64(normal)))
    #expect(try set(controller, feature, value) == AdminCompletion())
    #expect(try get(controller, feature) == AdminCompletion(result: UInt64(value)))
    #expect(try get(controller, feature, select: 1) == AdminCompletion(result: UInt64(normal)))
    #expect(try get(controller, feature, select: 2) == AdminCompletion(result: UInt64(normal)))
    #expect(try get(controller, feature, select: 3) == AdminCompletion(result: 4))
  }

  @Test(arguments: 4...7 as ClosedRange<UInt8>)
  func `a selection that is none is an invalid field`(select: UInt8) throws {
    #expect(try get(try Fixture.enabledController(), .arbitration, select: select).status == invalidField)
  }

  @Test func `there is one power state`() throws {
    let controller = try Fixture.enabledController()
    #expect(try get(controller, .powerManagement).result == 0)
    #expect(try set(controller, .powerManagement, 0).status == .success)
    #expect(try set(controller, .powerManagement, 1).status == invalidField)
  }

  @Test func `temperature thresholds are of the composite temperature`() throws {
    let controller = try Fixture.enabledController()
    #expect(try set(controller, .temperatureThreshold, 1 << 20 | 300).status == .success)
    #expect(try set(controller, .temperatureThreshold, 0xF << 16 | 350).status == .success)
    #expect(try get(controller, .temperatureThreshold).result == 350)
    #expect(try get(controller, .temperatureThreshold, dword11: 1 << 20).result == 300)
    #expect(try set(controller, .temperatureThreshold, 2 << 20).status == invalidField)
    #expect(try set(controller, .temperatureThreshold, 1 << 16).status == invalidField)
    #expect(try get(controller, .temperatureThreshold, dword11: 1 << 16).status == invalidField)
    #expect(try get(controller, .temperatureThreshold, dword11: 3 << 20).status == invalidField)
  }

  @Test func `reading deallocated blocks cannot be made an error`() throws {
    #expect(try set(try Fixture.enabledController(), .errorRecovery, 1 << 16).status == invalidField)
  }

  @Test func `the write cache is on and stays on`() throws {
    let controller = try Fixture.enabledController()
    #expect(try get(controller, .volatileWriteCache).result == 1)
    #expect(try get(controller, .volatileWriteCache, select: 3).result == 0)
    #expect(try set(controller, .volatileWriteCache, 1).status == .success)
    #expect(try set(controller, .volatileWriteCache, 0).status == Status.featureNotChangeable.withDoNotRetry)
    let without = try Fixture.enabledController(Fixture.subsystem(namespace: Fixture.namespace(hasVolatileWriteCache: false)))
    #expect(try get(without, .volatileWriteCache).status == invalidField)
    #expect(try set(without, .volatileWriteCache, 1).status == invalidField)
  }

  @Test func `all io queues are granted until one is connected`() throws {
    let subsystem = Fixture.subsystem()
    let controller = try Fixture.enabledController(subsystem)
    #expect(try set(controller, .numberOfQueues, 0x0003_0003).result == 0x003F_003F)
    #expect(try get(controller, .numberOfQueues).result == 0x003F_003F)
    #expect(try set(controller, .numberOfQueues, 0xFFFF_0000).status == invalidField)
    #expect(try set(controller, .numberOfQueues, 0x0000_FFFF).status == invalidField)
    _ = try subsystem.connectIO(try Fixture.request(Fixture.data(controller: controller.identifier), queue: 1))
    #expect(try set(controller, .numberOfQueues, 0).status == Status.commandSequenceError.withDoNotRetry)
  }

  @Test func `events that the controller does not send cannot be asked for`() throws {
    let controller = try Fixture.enabledController()
    #expect(try set(controller, .asynchronousEventConfiguration, 1 << 31).status == invalidField)
    #expect(try set(controller, .asynchronousEventConfiguration, 1 << 9).status == invalidField)
    let discovery = try Fixture.enabledController(Fixture.discovery())
    #expect(try set(discovery, .asynchronousEventConfiguration, 1 << 31).status == .success)
    #expect(try get(discovery, .asynchronousEventConfiguration).result == 1 << 31)
    #expect(try set(discovery, .asynchronousEventConfiguration, 1 << 11).status == invalidField)
    #expect(try set(discovery, .asynchronousEventConfiguration, 1).status == invalidField)
  }

  @Test func `the keep-alive time is rounded up and starts over`() throws {
    let controller = try Fixture.enabledController(keepAliveMilliseconds: 4_001)
    #expect(try get(controller, .keepAliveTimer).result == 5_000)
    #expect(try set(controller, .keepAliveTimer, 10_000, now: 100 * Fixture.second).status == .success)
    #expect(!controller.isExpired(114 * Fixture.second))
    #expect(controller.isExpired(116 * Fixture.second))
  }

  @Test func `the host identifier is that of Connect`() throws {
    let controller = try Fixture.enabledController()
    var entry = SubmissionEntry.getFeatures(
      commandIdentifier: 1, identifier: 0x81, dword11: 1, data: .transportDataBlock(length: 16))
    #expect(controller.replyByteCount(entry) == 16)
    let (completion, data) = try controller.completed(entry)
    #expect(completion == AdminCompletion(dataByteCount: 16))
    #expect(try decode(data, Identifier128.init(decoding:at:)) == Fixture.hostIdentifier)
    #expect(try get(controller, .hostIdentifier, select: 3).result == 0)
    entry.dword11 = 0
    #expect(try controller.status(of: entry) == invalidField)
    entry.dataPointer = .transportDataBlock(length: 8)
    #expect(try controller.status(of: entry) == Status.dataSGLLengthInvalid.withDoNotRetry)
    let set = SubmissionEntry.setFeatures(commandIdentifier: 1, identifier: 0x81, dword11: 1, data: .inCapsule(length: 16))
    #expect(try controller.status(of: set) == Status.commandSequenceError.withDoNotRetry)
  }

  @Test(arguments: FeatureIdentifier.allCases)
  func `what is not supported is an invalid field`(feature: FeatureIdentifier) throws {
    let supported: [FeatureIdentifier] = [
      .arbitration, .powerManagement, .temperatureThreshold, .errorRecovery, .volatileWriteCache, .numberOfQueues, .writeAtomicity,
      .asynchronousEventConfiguration, .keepAliveTimer, .hostIdentifier,
    ]
    let controller = try Fixture.enabledController()
    #expect((try get(controller, feature, select: 3).status == .success) == supported.contains(feature))
    if !supported.contains(feature) { #expect(try set(controller, feature, 0).status == invalidField) }
    let discovery = try Fixture.enabledController(Fixture.discovery())
    let ofDiscovery: [FeatureIdentifier] = [.asynchronousEventConfiguration, .keepAliveTimer, .hostIdentifier]
    #expect((try get(discovery, feature, select: 3).status == .success) == ofDiscovery.contains(feature))
  }

  @Test func `nothing is saved and nothing but error recovery is of one namespace`() throws {
    let controller = try Fixture.enabledController()
    let save = SubmissionEntry.setFeatures(commandIdentifier: 1, identifier: 0x01, dword11: 0, save: true)
    #expect(try controller.status(of: save) == Status.featureNotSaveable.withDoNotRetry)
    let one = SubmissionEntry.setFeatures(commandIdentifier: 1, identifier: 0x01, dword11: 0, namespaceIdentifier: 1)
    #expect(try controller.status(of: one) == Status.featureNotNamespaceSpecific.withDoNotRetry)
    let recovery = SubmissionEntry.setFeatures(commandIdentifier: 1, identifier: 0x05, dword11: 0, namespaceIdentifier: 1)
    #expect(try controller.status(of: recovery) == .success)
  }
}
