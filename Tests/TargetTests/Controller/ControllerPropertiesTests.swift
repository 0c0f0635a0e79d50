import NVMe
import Testing

@testable import Target

@Suite struct ControllerPropertiesTests {
  @Test func `the capabilities are what a fabrics host expects`() throws {
    let controller = try Fixture.connectedController()
    let capabilities = ControllerCapabilities(rawValue: try controller.getProperty(.capabilities))
    #expect(capabilities.maximumQueueEntriesZeroBased == 127)
    #expect(capabilities.requiresContiguousQueues)
    #expect(capabilities.timeoutHalfSeconds == 40)
    #expect(capabilities.commandSets == 1)
    #expect(capabilities.minimumPageSizeShift == 0 && capabilities.maximumPageSizeShift == 0)
    #expect(capabilities.supportsReadyWithMedia && !capabilities.supportsReadyIndependentOfMedia)
    #expect(!capabilities.supportsSubsystemReset)
    #expect(try controller.getProperty(.version) == 0x0002_0000)
    #expect(try controller.getProperty(.readyTimeouts) == 40)
    #expect(try controller.getProperty(.configuration) == 0)
    #expect(try controller.getProperty(.status) == 0)
  }

  @Test(
    arguments: [
      (0x00, false), (0x08, true), (0x14, true), (0x1C, true), (0x68, true), (0x20, false), (0x64, false), (0x0C, false), (0x10, false),
      (0x04, false), (0xFFFF_FFFF, false),
    ] as [(UInt32, Bool)])
  func `a property that is not there or of another size is an invalid field`(offset: UInt32, isEightBytes: Bool) throws {
    let controller = try Fixture.connectedController()
    let get = SubmissionEntry.propertyGet(commandIdentifier: 1, offset: offset, isEightBytes: isEightBytes)
    #expect(try controller.status(of: get) == Status.invalidField.withDoNotRetry)
  }

  @Test func `a size code that is none is an invalid field`() throws {
    let controller = try Fixture.connectedController()
    var get = SubmissionEntry.propertyGet(commandIdentifier: 1, offset: 0x14, isEightBytes: false)
    get.dword10 = 2
    #expect(try controller.status(of: get) == Status.invalidField.withDoNotRetry)
  }

  @Test(arguments: ControllerProperty.allCases.filter { $0 != .configuration })
  func `only CC can be written`(property: ControllerProperty) throws {
    let controller = try Fixture.connectedController()
    let set = SubmissionEntry.propertySet(
      commandIdentifier: 1, offset: property.rawValue, value: 0x4E56_4D65, isEightBytes: property.byteCount == 8)
    #expect(try controller.status(of: set) == Status.invalidField.withDoNotRetry)
    #expect(controller.configuration.rawValue == 0 && controller.status.rawValue == 0)
  }

  @Test func `enabling makes ready when the connections say so`() throws {
    let controller = try Fixture.connectedController()
    let completion = try controller.setConfiguration(linuxConfiguration)
    #expect(completion.status == .success && completion.effect == .enable)
    #expect(try controller.getProperty(.configuration) == UInt64(linuxConfiguration))
    #expect(try controller.getProperty(.status) == 0)
    #expect(!controller.acceptsIO)
    controller.effectPerformed(.enable)
    #expect(try controller.getProperty(.status) == 1)
    #expect(controller.acceptsIO)
  }

  @Test(arguments: [(UInt32(1) << 4), 6 << 4, 1 << 7, 1 << 11])
  func `a configuration not supported is fatal until reset`(bits: UInt32) throws {
    let controller = try Fixture.connectedController()
    #expect(try controller.setConfiguration(linuxConfiguration | bits).effect == nil)
    #expect(try controller.getProperty(.status) == 2)
    #expect(!controller.acceptsIO)
    #expect(try controller.setConfiguration(0).effect == .reset)
    controller.effectPerformed(.reset)
    #expect(try controller.getProperty(.status) == 0)
    try controller.enable()
  }

  @Test func `entry sizes other than 64 and 16 bytes are fatal but a discovery controller has none`() throws {
    let controller = try Fixture.connectedController()
    #expect(try controller.setConfiguration(1).effect == nil)
    #expect(controller.status.isFatal)
    let discovery = try Fixture.connectedController(Fixture.discovery())
    #expect(try discovery.setConfiguration(1).effect == .enable)
    discovery.effectPerformed(.enable)
    #expect(discovery.status.isReady && !discovery.acceptsIO)
  }

  @Test func `a reset ends readiness and brings the defaults back`() throws {
    let controller = try Fixture.enabledController()
    controller.park(0x10)
    try controller.configureEvents([.anaChange])
    #expect(try controller.status(of: .setFeatures(commandIdentifier: 1, identifier: 0x05, dword11: 7)) == .success)
    let completion = try controller.setConfiguration(linuxConfiguration & ~1)
    #expect(completion.effect == .reset)
    #expect(!controller.acceptsIO)
    #expect(try controller.getProperty(.status) == 1)
    controller.effectPerformed(.reset)
    #expect(try controller.getProperty(.status) == 0)
    #expect(controller.events.requests.isEmpty)
    #expect(controller.events.configuration == [])
    #expect(controller.features == FeatureValues())
    try controller.enable()
  }

  @Test func `enabling before the reset is done is refused`() throws {
    let controller = try Fixture.enabledController()
    try controller.setConfiguration(0)
    #expect(try controller.setConfiguration(linuxConfiguration).status == Status.commandSequenceError.withDoNotRetry)
    #expect(controller.configuration.rawValue == 0)
    controller.effectPerformed(.reset)
    try controller.enable()
  }

  @Test(arguments: [(UInt32(1), false), (2, true)])
  func `a shutdown is complete when the connections say so`(request: UInt32, isAbrupt: Bool) throws {
    let controller = try Fixture.enabledController()
    #expect(try controller.setConfiguration(linuxConfiguration | request << 14).effect == .shutdown(isAbrupt: isAbrupt))
    #expect(try controller.getProperty(.status) == 1 | 1 << 2)
    #expect(!controller.acceptsIO)
    controller.effectPerformed(.shutdown(isAbrupt: isAbrupt))
    #expect(try controller.getProperty(.status) == 1 | 2 << 2)
    #expect(!controller.acceptsIO)
    #expect(try controller.setConfiguration(0).effect == .reset)
    controller.effectPerformed(.reset)
    try controller.enable()
    #expect(controller.acceptsIO)
  }

  @Test func `a shutdown of a controller that is not enabled leaves it so`() throws {
    let controller = try Fixture.connectedController()
    #expect(try controller.setConfiguration(1 << 14).effect == .shutdown(isAbrupt: false))
    controller.effectPerformed(.shutdown(isAbrupt: false))
    #expect(try controller.getProperty(.status) == 2 << 2)
    try controller.enable()
    #expect(try controller.getProperty(.status) == 1)
  }

  @Test func `the reserved shutdown is an invalid field`() throws {
    let controller = try Fixture.enabledController()
    #expect(try controller.setConfiguration(linuxConfiguration | 3 << 14).status == Status.invalidField.withDoNotRetry)
    #expect(controller.acceptsIO)
  }

  @Test func `an effect that another replaced is ignored`() throws {
    let controller = try Fixture.connectedController()
    try controller.setConfiguration(linuxConfiguration)
    try controller.setConfiguration(0)
    controller.effectPerformed(.enable)
    #expect(!controller.status.isReady)
    #expect(controller.effectInProgress == .reset)
    controller.effectPerformed(.reset)
    #expect(controller.effectInProgress == nil)
  }

  @Test func `a shutdown during a reset leaves the controller not ready`() throws {
    let controller = try Fixture.enabledController()
    try controller.setConfiguration(0)
    #expect(try controller.setConfiguration(1 << 14).effect == .shutdown(isAbrupt: false))
    controller.effectPerformed(.shutdown(isAbrupt: false))
    #expect(try controller.getProperty(.status) == 2 << 2)
  }

  @Test func `writing the same configuration again changes nothing`() throws {
    let controller = try Fixture.enabledController()
    #expect(try controller.setConfiguration(linuxConfiguration) == AdminCompletion())
    #expect(controller.acceptsIO)
  }
}
