import NVMe
import Testing

@testable import Target

/// Statuses and parameter offsets as NVMe Base 2.0, 6.3, gives them.
@Suite struct ConnectTests {
  private func refusal(_ body: () throws -> Void) -> CommandRefusal? {
    do {
      try body()
    } catch let error as CommandRefusal { return error } catch { Issue.record(error) }
    return nil
  }

  private func adminRefusal(_ subsystem: Subsystem, _ request: @autoclosure () throws -> ConnectRequest)
    -> CommandRefusal?
  { refusal { _ = try subsystem.connectAdmin(try request(), portal: 1, now: 0) } }

  private func ioRefusal(_ subsystem: Subsystem, _ request: @autoclosure () throws -> ConnectRequest) -> CommandRefusal? {
    refusal { _ = try subsystem.connectIO(try request()) }
  }

  @Test func `an admin queue is given a controller whose id alone is the result`() throws {
    let subsystem = Fixture.subsystem()
    let connection = try subsystem.connectAdmin(try Fixture.request(disableFlowControl: true), portal: 1, now: 0)
    #expect(connection.controller.identifier == 1)
    #expect(connection.result == 1)
    #expect(connection.queueEntryCount == 32)
    #expect(connection.isFlowControlDisabled)
    #expect(connection.replaced.isEmpty)
    #expect(connection.controller.hostName == Fixture.host)
    #expect(connection.controller.hostIdentifier == Fixture.hostIdentifier)
    #expect(subsystem.controller(1) === connection.controller)
  }

  @Test func `another record format is incompatible`() {
    var entry = SubmissionEntry.connect(commandIdentifier: 1, queueIdentifier: 0, queueSizeZeroBased: 31, keepAliveMilliseconds: 0)
    entry.dword10 |= 1
    let data = Fixture.data()
    #expect(
      refusal { _ = try decode(data, { bytes, _ in try ConnectRequest(entry, data: bytes) }) } == .permanent(.connectIncompatibleFormat))
  }

  @Test func `a queue of one entry is an invalid parameter of the command`() {
    let refusal = adminRefusal(Fixture.subsystem(), try Fixture.request(sizeZeroBased: 0))
    #expect(refusal?.status == Status.connectInvalidParameters.withDoNotRetry)
    #expect(refusal?.result == 44)
  }

  @Test func `a queue of more entries than MQES allows is an invalid parameter of the command`() throws {
    let refusal = adminRefusal(Fixture.subsystem(), try Fixture.request(sizeZeroBased: 128))
    #expect(refusal?.status == Status.connectInvalidParameters.withDoNotRetry)
    #expect(refusal?.result == 44)
    #expect(adminRefusal(Fixture.subsystem(), try Fixture.request(sizeZeroBased: 127)) == nil)
  }

  @Test(arguments: [0, 1, 0xFFEF, 0xFFFE] as [UInt16])
  func `only the dynamic controller can be asked for`(controller: UInt16) {
    let refusal = adminRefusal(Fixture.subsystem(), try Fixture.request(Fixture.data(controller: controller)))
    #expect(refusal?.status == Status.connectInvalidParameters.withDoNotRetry)
    #expect(refusal?.result == 1 << 16 | 16)
  }

  @Test(arguments: [(256, UInt16(256)), (512, 512)])
  func `a name that is none is an invalid parameter of the data`(field: Int, offset: UInt16) {
    var data = Fixture.data()
    data[field] = UInt8(ascii: "x")
    let refusal = refusal { _ = try Fixture.request(data) }
    #expect(refusal?.status == Status.connectInvalidParameters.withDoNotRetry)
    #expect(refusal?.result == 1 << 16 | UInt64(offset))
  }

  @Test(arguments: [0, 1, 512, 1023])
  func `too little data is an invalid length`(count: Int) {
    let refusal = refusal { _ = try Fixture.request(Array(Fixture.data()[..<count])) }
    #expect(refusal == .permanent(.dataSGLLengthInvalid))
  }

  @Test func `an unknown subsystem or controller may come back so a host may retry`() {
    #expect(CommandRefusal.unknownSubsystem.status == .connectInvalidParameters)
    #expect(CommandRefusal.unknownSubsystem.result == 1 << 16 | 256)
    #expect(CommandRefusal.unknownController.status == .connectInvalidParameters)
    #expect(CommandRefusal.unknownController.result == 1 << 16 | 16)
  }

  @Test func `a host that is not on the list is refused`() throws {
    let subsystem = Subsystem(Fixture.description(allowedHosts: .only([Fixture.otherHost])))
    #expect(adminRefusal(subsystem, try Fixture.request()) == .permanent(.connectInvalidHost))
    #expect(adminRefusal(subsystem, try Fixture.request(Fixture.data(host: Fixture.otherHost))) == nil)
  }

  @Test func `a host taken off the list loses its controllers and gets no more queues`() throws {
    let subsystem = Fixture.subsystem()
    let controller = try Fixture.enabledController(subsystem)
    let ended = subsystem.setAllowedHosts(.only([Fixture.otherHost]))
    #expect(ended.count == 1 && ended[0] === controller)
    #expect(ioRefusal(subsystem, try Fixture.request(Fixture.data(controller: 1), queue: 1)) == .permanent(.connectInvalidHost))
    #expect(subsystem.setAllowedHosts(.any).isEmpty)
  }

  @Test func `too many controllers make it busy and a host may retry`() throws {
    var description = Fixture.description()
    description.maximumControllers = 2
    description.replacesOlderControllers = false
    let subsystem = Subsystem(description)
    let first = try Fixture.connectedController(subsystem)
    _ = try Fixture.connectedController(subsystem)
    #expect(adminRefusal(subsystem, try Fixture.request()) == CommandRefusal(.connectControllerBusy))
    subsystem.remove(first)
    #expect(adminRefusal(subsystem, try Fixture.request()) == nil)
  }

  @Test func `ids that are all in use make it busy`() throws {
    var description = Fixture.description(controllerIdentifiers: 5...6)
    description.replacesOlderControllers = false
    let subsystem = Subsystem(description)
    #expect(try Fixture.connectedController(subsystem).identifier == 5)
    #expect(try Fixture.connectedController(subsystem).identifier == 6)
    #expect(adminRefusal(subsystem, try Fixture.request()) == CommandRefusal(.connectControllerBusy))
  }

  @Test func `a host that comes back through the same portal replaces its older controllers`() throws {
    let subsystem = Fixture.subsystem()
    let older = try Fixture.enabledController(subsystem)
    let other = try subsystem.connectAdmin(
      try Fixture.request(Fixture.data(hostIdentifier: Fixture.uuid)), portal: 1, now: 0)
    let otherPortal = try subsystem.connectAdmin(try Fixture.request(), portal: 2, now: 0)
    #expect(other.replaced.isEmpty && otherPortal.replaced.isEmpty)
    let newer = try subsystem.connectAdmin(try Fixture.request(), portal: 1, now: 0)
    #expect(newer.replaced.count == 1 && newer.replaced[0] === older)
    #expect(newer.controller !== older)
  }

  @Test func `discovery controllers of one host do not replace each other`() throws {
    let subsystem = Fixture.discovery()
    _ = try Fixture.connectedController(subsystem)
    let second = try subsystem.connectAdmin(try Fixture.request(Fixture.data(.discovery)), portal: 1, now: 0)
    #expect(second.replaced.isEmpty)
  }

  @Test func `an io queue joins its controller`() throws {
    let subsystem = Fixture.subsystem()
    let controller = try Fixture.enabledController(subsystem)
    let connection = try subsystem.connectIO(try Fixture.request(Fixture.data(controller: 1), queue: 64, sizeZeroBased: 127))
    #expect(connection.controller === controller)
    #expect(connection.queueIdentifier == 64 && connection.queueEntryCount == 128 && !connection.isFlowControlDisabled)
    #expect(connection.result == 1)
    _ = try subsystem.connectIO(try Fixture.request(Fixture.data(controller: 1), queue: 3))
    #expect(controller.ioQueues == [3, 64])
    controller.ioQueueClosed(64)
    #expect(controller.ioQueues == [3])
  }

  @Test func `a queue id beyond the maximum is an invalid parameter of the command`() throws {
    let subsystem = Fixture.subsystem()
    _ = try Fixture.enabledController(subsystem)
    let refusal = ioRefusal(subsystem, try Fixture.request(Fixture.data(controller: 1), queue: 65))
    #expect(refusal?.status == Status.connectInvalidParameters.withDoNotRetry)
    #expect(refusal?.result == 42)
  }

  @Test func `discovery has no io queues`() throws {
    let subsystem = Fixture.discovery()
    _ = try Fixture.enabledController(subsystem)
    let refusal = ioRefusal(subsystem, try Fixture.request(Fixture.data(.discovery, controller: 1), queue: 1))
    #expect(refusal?.result == 42)
  }

  @Test func `an io queue must name a controller that is here`() throws {
    let subsystem = Fixture.subsystem()
    _ = try Fixture.enabledController(subsystem)
    for identifier: UInt16 in [0, 2, 0xFFFF] {
      #expect(ioRefusal(subsystem, try Fixture.request(Fixture.data(controller: identifier), queue: 1)) == .unknownController)
    }
  }

  @Test func `an io queue must be of the controller's host`() throws {
    let subsystem = Fixture.subsystem()
    _ = try Fixture.enabledController(subsystem)
    let otherName = ioRefusal(subsystem, try Fixture.request(Fixture.data(controller: 1, host: Fixture.otherHost), queue: 1))
    #expect(otherName?.status == Status.connectInvalidParameters.withDoNotRetry && otherName?.result == 1 << 16 | 512)
    let otherIdentifier = ioRefusal(subsystem, try Fixture.request(Fixture.data(controller: 1, hostIdentifier: .zero), queue: 1))
    #expect(otherIdentifier?.status == Status.connectInvalidParameters.withDoNotRetry && otherIdentifier?.result == 1 << 16)
  }

  @Test func `a queue that is connected cannot be connected again`() throws {
    let subsystem = Fixture.subsystem()
    let controller = try Fixture.enabledController(subsystem)
    _ = try subsystem.connectIO(try Fixture.request(Fixture.data(controller: 1), queue: 1))
    #expect(ioRefusal(subsystem, try Fixture.request(Fixture.data(controller: 1), queue: 1)) == .permanent(.commandSequenceError))
    controller.ioQueueClosed(1)
    #expect(ioRefusal(subsystem, try Fixture.request(Fixture.data(controller: 1), queue: 1)) == nil)
  }

  @Test func `an io queue needs a controller that is ready and not going away`() throws {
    let subsystem = Fixture.subsystem()
    let controller = try Fixture.connectedController(subsystem)
    func attempt() -> CommandRefusal? { ioRefusal(subsystem, try Fixture.request(Fixture.data(controller: 1), queue: 1)) }
    let refused = CommandRefusal(.commandSequenceError)
    #expect(attempt() == refused)
    try controller.setConfiguration(linuxConfiguration)
    #expect(attempt() == refused)
    controller.effectPerformed(.enable)
    #expect(attempt() == nil)
    controller.ioQueueClosed(1)
    try controller.setConfiguration(linuxConfiguration | 1 << 14)
    #expect(attempt() == refused)
    controller.effectPerformed(.shutdown(isAbrupt: false))
    #expect(attempt() == refused)
  }
}
