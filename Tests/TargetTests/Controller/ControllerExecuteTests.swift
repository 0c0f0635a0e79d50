import NVMe
import Testing

@testable import Target

@Suite struct ControllerExecuteTests {
  @Test(
    arguments: [0x00, 0x01, 0x03, 0x04, 0x05, 0x0D, 0x10, 0x11, 0x14, 0x15, 0x19, 0x1A, 0x7C, 0x80, 0x81, 0x82, 0x84, 0x86, 0xC0, 0xFF]
      as [UInt8])
  func `an opcode that is not executed is invalid`(opcode: UInt8) throws {
    let controller = try Fixture.enabledController()
    #expect(try controller.status(of: SubmissionEntry(opcode: opcode, commandIdentifier: 1)) == Status.invalidOpcode.withDoNotRetry)
  }

  @Test(arguments: [0x00, 0xC0, 0x41, 0x42, 0x43] as [UInt8])
  func `PRPs and fused commands are an invalid field`(flags: UInt8) throws {
    let controller = try Fixture.enabledController()
    let entry = SubmissionEntry(opcode: AdminOpcode.keepAlive.rawValue, flags: flags, commandIdentifier: 1)
    #expect(try controller.status(of: entry) == Status.invalidField.withDoNotRetry)
  }

  @Test func `only properties can be used before the controller is ready`() throws {
    let controller = try Fixture.connectedController()
    let refused = Status.commandSequenceError.withDoNotRetry
    let identify = SubmissionEntry.identify(commandIdentifier: 1, structure: 1)
    #expect(try controller.status(of: identify) == refused)
    #expect(try controller.status(of: .keepAlive(commandIdentifier: 1)) == refused)
    #expect(try controller.status(of: .asynchronousEventRequest(commandIdentifier: 1)) == refused)
    try controller.setConfiguration(linuxConfiguration)
    #expect(try controller.status(of: identify) == refused)
    controller.effectPerformed(.enable)
    #expect(try controller.status(of: identify) == .success)
    try controller.setConfiguration(linuxConfiguration | 1 << 14)
    #expect(try controller.status(of: identify) == refused)
    #expect(try controller.getProperty(.status) == 1 | 1 << 2)
  }

  @Test func `a second Connect is out of sequence and other fabrics commands are invalid`() throws {
    let controller = try Fixture.enabledController()
    let connect = SubmissionEntry.connect(commandIdentifier: 1, queueIdentifier: 0, queueSizeZeroBased: 31, keepAliveMilliseconds: 0)
    let sequence = Status.commandSequenceError.withDoNotRetry
    let opcode = Status.invalidOpcode.withDoNotRetry
    #expect(try controller.status(of: connect) == sequence)
    #expect(Controller.statusOfFabricsOnIOQueue(connect) == sequence)
    for type: UInt32 in [0x05, 0x06, 0x08, 0x02, 0xC0] {
      let entry = SubmissionEntry(opcode: 0x7F, commandIdentifier: 1, namespaceIdentifier: type)
      #expect(try controller.status(of: entry) == opcode)
      #expect(Controller.statusOfFabricsOnIOQueue(entry) == opcode)
    }
  }

  @Test func `an abort of an io command is for its connection`() throws {
    let subsystem = Fixture.subsystem()
    let controller = try Fixture.enabledController(subsystem)
    let abort = SubmissionEntry.abort(commandIdentifier: 9, queueIdentifier: 4, abortedCommandIdentifier: 0xBEEF)
    #expect(try controller.completed(abort).completion == AdminCompletion(result: AdminCompletion.notAborted))
    _ = try subsystem.connectIO(try Fixture.request(Fixture.data(controller: controller.identifier), queue: 4))
    #expect(controller.run(abort).0 == .abort(queueIdentifier: 4, commandIdentifier: 0xBEEF))
  }

  @Test func `keep alive succeeds and only failures are in the error log`() throws {
    let controller = try Fixture.enabledController()
    #expect(try controller.completed(.keepAlive(commandIdentifier: 1)).completion == AdminCompletion())
    #expect(controller.errors.totalCount == 0)
    _ = controller.run(SubmissionEntry(opcode: 0xFF, commandIdentifier: 2))
    #expect(controller.errors.totalCount == 1)
  }
}
