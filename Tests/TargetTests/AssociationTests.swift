import NVMe
import Reactor
import Target
import Testing

@Suite(.serialized) struct AssociationTests {
  @Test func `properties are read through the wire`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let session = try TestSession(target, target.addVolume())
    let capabilities = ControllerCapabilities(rawValue: try session.admin.property(.capabilities))
    #expect(capabilities.maximumQueueEntriesZeroBased >= 127)
    #expect(capabilities.timeoutHalfSeconds >= 1)
    #expect(try session.admin.property(.version) == 0x0002_0000)
    #expect(try session.admin.property(.configuration) == UInt64(TestHost.enabled))
    #expect(try session.admin.controllerStatus().isReady)
  }

  @Test func `a reset ends the I/O queues and keeps the admin queue`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let session = try TestSession(target, volume, .init(queueCount: 2))
    #expect(try session.admin.setConfiguration(TestHost.enabled & ~1) == .success)
    #expect(session.queues[0].isClosedByTarget())
    #expect(session.queues[1].isClosedByTarget())
    #expect(try TestTarget.eventually { try !session.admin.controllerStatus().isReady })
    try session.admin.enable()
    let queue = try TestHost(target.address)
    try queue.initialize()
    #expect(try queue.connect(to: volume.name, queue: 1, controller: session.controller).status == .success)
    #expect(try queue.write(0, pattern(512)).status == .success)
  }

  /// What Linux does on a reset: the I/O queues' sockets are closed before CC is written.
  @Test func `a host may close its I/O queues before it resets the controller`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let session = try TestSession(target, volume, .init(queueCount: 2))
    for queue in session.queues { queue.close() }
    pause(milliseconds: 50)
    #expect(try session.admin.setConfiguration(TestHost.enabled & ~1) == .success)
    #expect(try TestTarget.eventually { try !session.admin.controllerStatus().isReady })
    session.close()
    #expect(target.isQuietSoon())
  }

  @Test func `a shutdown flushes the device`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let session = try TestSession(target, volume)
    #expect(try session.queue.write(0, pattern(512)).status == .success)
    #expect(try session.admin.setConfiguration(TestHost.enabled | 1 << 14) == .success)
    #expect(try TestTarget.eventually { try session.admin.controllerStatus().shutdown == .complete })
    #expect(volume.executed.map(\.operation) == [.write, .flush])
    #expect(session.queue.isClosedByTarget())
  }

  @Test func `a reset waits for commands that the device executes`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let session = try TestSession(target, volume)
    volume.set(.hold)
    let entry = SubmissionEntry.flush(commandIdentifier: 9, namespaceIdentifier: 1)
    try session.queue.send(session.queue.capsule(entry))
    #expect(TestTarget.eventually { volume.begunCount == 1 })
    #expect(try session.admin.setConfiguration(TestHost.enabled & ~1) == .success)
    pause(milliseconds: 100)
    #expect(try session.admin.controllerStatus().isReady)
    volume.release()
    #expect(try TestTarget.eventually { try !session.admin.controllerStatus().isReady })
  }

  @Test func `the end of the admin queue ends the controller`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let session = try TestSession(target, target.addVolume(), .init(queueCount: 2))
    session.admin.close()
    #expect(session.queues[0].isClosedByTarget())
    #expect(session.queues[1].isClosedByTarget())
    #expect(target.isQuietSoon())
  }

  @Test func `several hosts use a volume at once`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let sessions = try (1...4).map { try TestSession(target, volume, .init(host: .number($0))) }
    #expect(Set(sessions.map(\.controller)).count == 4)
    for (index, session) in sessions.enumerated() { #expect(try session.works(at: UInt64(index * 16))) }
    for session in sessions { session.close() }
    #expect(target.isQuietSoon())
  }

  @Test func `hosts that may not connect are refused, and ended when that changes`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume(allowedHosts: .only([HostName.number(1).name, HostName.number(2).name]))
    let first = try TestSession(target, volume, .init(host: .number(1)))
    let second = try TestSession(target, volume, .init(host: .number(2)))
    let stranger = try TestHost(target.address)
    try stranger.initialize()
    #expect(try stranger.connect(to: volume.name, as: .number(3)).status == Status.connectInvalidHost.withDoNotRetry)
    volume.set(.park)
    try second.queue.send(
      second.queue.capsule(
        .writeZeroes(commandIdentifier: 4, namespaceIdentifier: 1, startingLBA: 0, blockCount: 8)))
    #expect(TestTarget.eventually { volume.parkedCount == 1 })
    target.server.setAllowedHosts(.only([HostName.number(1).name]), of: volume.name)
    #expect(volume.parkedCount == 0)
    #expect(second.admin.isClosedByTarget())
    #expect(second.queue.isClosedByTarget())
    volume.set(.direct)
    #expect(volume.executed.isEmpty)
    #expect(try first.works())
  }

  @Test func `a volume that goes ends its connections, and changes are told`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let session = try TestSession(target, volume)
    let mask = AsynchronousEventConfiguration([.anaChange, .namespaceAttribute]).rawValue
    #expect(
      try session.admin.command(
        .setFeatures(
          commandIdentifier: session.admin.identifier(), identifier: FeatureIdentifier.asynchronousEventConfiguration.rawValue,
          dword11: mask)
      ).status == .success)
    try session.admin.send(session.admin.capsule(.asynchronousEventRequest(commandIdentifier: 900)))
    var namespace = volume.namespace
    namespace.anaState = .inaccessible
    target.server.setNamespace(namespace, of: volume.name)
    guard case .response(let event) = try session.admin.receivePDU() else {
      Issue.record("no event")
      return
    }
    #expect(event.result == UInt64(AsynchronousEvent.anaChange.rawValue))
    #expect(try session.queue.read(0, blocks: 1).status == .anaInaccessible)
    target.server.setNamespace(volume.namespace, of: volume.name)
    #expect(try session.works())
    target.server.remove(volume.name)
    #expect(session.queue.isClosedByTarget())
    let late = try TestHost(target.address)
    try late.initialize()
    #expect(try late.connect(to: volume.name).status.matches(.connectInvalidParameters))
  }
}
