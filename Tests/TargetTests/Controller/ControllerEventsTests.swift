import NVMe
import Testing

@testable import Target

@Suite struct ControllerEventsTests {
  private func controller(_ configuration: AsynchronousEventConfiguration = [.namespaceAttribute, .anaChange]) throws -> Controller {
    let controller = try Fixture.enabledController()
    try controller.configureEvents(configuration)
    return controller
  }

  @Test func `four requests wait and a fifth is too many`() throws {
    let controller = try controller()
    for identifier: UInt16 in 1...4 { controller.park(identifier) }
    #expect(
      try controller.status(of: .asynchronousEventRequest(commandIdentifier: 5)) == Status.asynchronousEventLimitExceeded.withDoNotRetry)
    #expect(controller.takeEvent() == nil)
  }

  @Test func `a command with the id of a waiting request is in conflict`() throws {
    let controller = try controller()
    controller.park(7)
    #expect(try controller.status(of: .keepAlive(commandIdentifier: 7)) == Status.commandIdentifierConflict.withDoNotRetry)
    #expect(controller.events.requests == [7])
  }

  @Test func `events answer requests in the order they came`() throws {
    let controller = try controller()
    controller.park(1)
    controller.park(2)
    controller.anaChanged()
    controller.namespaceAttributesChanged(1)
    let first = try #require(controller.takeEvent())
    let second = try #require(controller.takeEvent())
    #expect(first.commandIdentifier == 1 && first.result == 0x04_0002)
    #expect(second.commandIdentifier == 2 && second.result == 0x0C_0302)
    #expect(controller.takeEvent() == nil)
  }

  @Test func `an event without a request waits for one`() throws {
    let controller = try controller()
    controller.anaChanged()
    #expect(controller.takeEvent() == nil)
    controller.park(3)
    #expect(controller.takeEvent()?.commandIdentifier == 3)
  }

  @Test func `an event not asked for is sent when it is`() throws {
    let controller = try controller([])
    controller.park(1)
    controller.anaChanged()
    #expect(controller.takeEvent() == nil)
    try controller.configureEvents(.anaChange)
    #expect(controller.takeEvent()?.result == 0x0C_0302)
  }

  @Test func `an event is not repeated until its log is read`() throws {
    let controller = try controller()
    for identifier: UInt16 in 1...3 { controller.park(identifier) }
    controller.anaChanged()
    #expect(controller.takeEvent() != nil)
    controller.anaChanged()
    #expect(controller.takeEvent() == nil)
    _ = try controller.log(.asymmetricAccess, byteCount: 64, retain: true)
    #expect(controller.takeEvent() == nil)
    _ = try controller.log(.asymmetricAccess, byteCount: 64)
    #expect(controller.takeEvent() == nil)
    controller.anaChanged()
    #expect(controller.takeEvent()?.commandIdentifier == 2)
  }

  @Test func `what changes between two parts of a log is announced again`() throws {
    let controller = try controller()
    controller.park(1)
    controller.park(2)
    controller.anaChanged()
    #expect(controller.takeEvent()?.commandIdentifier == 1)
    _ = try controller.log(.asymmetricAccess, byteCount: 16, retain: true)
    controller.anaChanged()
    _ = try controller.log(.asymmetricAccess, byteCount: 32, offset: 16)
    #expect(controller.takeEvent()?.commandIdentifier == 2)
  }

  @Test func `reading a log before its event was sent makes it unnecessary`() throws {
    let controller = try controller()
    controller.anaChanged()
    controller.namespaceAttributesChanged(1)
    _ = try controller.log(.asymmetricAccess, byteCount: 64)
    _ = try controller.log(.changedNamespaces, byteCount: 4096)
    controller.park(1)
    #expect(controller.takeEvent() == nil)
  }

  @Test func `nothing is sent before ready nor during a shutdown`() throws {
    let controller = try controller()
    controller.park(1)
    controller.anaChanged()
    try controller.setConfiguration(linuxConfiguration | 1 << 14)
    #expect(controller.takeEvent() == nil)
  }

  @Test func `an abort takes a waiting request back`() throws {
    let controller = try controller()
    controller.park(1)
    let abort = SubmissionEntry.abort(commandIdentifier: 9, queueIdentifier: 0, abortedCommandIdentifier: 1)
    #expect(try controller.completed(abort).completion == AdminCompletion(abortedRequest: 1))
    #expect(try controller.completed(abort).completion == AdminCompletion(result: 1))
    controller.anaChanged()
    #expect(controller.takeEvent() == nil)
  }

  @Test func `a subsystem tells all its controllers what changed and only that`() throws {
    let subsystem = Fixture.subsystem()
    var controllers: [Controller] = []
    for portal: UInt16 in 1...2 {
      let controller = try subsystem.connectAdmin(try Fixture.request(), portal: portal, now: 0).controller
      try controller.enable()
      try controller.configureEvents([.namespaceAttribute, .anaChange])
      controller.park(1)
      controller.park(2)
      controllers.append(controller)
    }
    subsystem.setANAState(.optimized)
    #expect(controllers.allSatisfy { $0.takeEvent() == nil } && subsystem.anaChangeCount == 1)
    subsystem.setANAState(.change)
    for controller in controllers {
      #expect(controller.takeEvent()?.result == 0x0C_0302)
      #expect(controller.takeEvent() == nil)
    }
    subsystem.setNamespace(Fixture.namespace(sizeBytes: 2 << 30, anaState: .change))
    for controller in controllers {
      #expect(controller.takeEvent()?.result == 0x04_0002)
      #expect(controller.changedNamespaces == [1])
    }
    #expect(subsystem.anaChangeCount == 2)
    subsystem.setNamespace(nil)
    #expect(subsystem.anaChangeCount == 3 && subsystem.namespace == nil)
  }
}
