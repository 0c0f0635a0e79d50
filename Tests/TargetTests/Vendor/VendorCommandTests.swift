import NVMe
import Reactor
import Target
import Testing

@Suite(.serialized) struct VendorCommandTests {
  /// A subsystem whose controllers have attachments over one volume in memory.
  private final class Stand {
    let target: TestTarget
    let volume: TestVolume
    let probes: ReactorBound<Probes>

    final class Probes { var all: [Probe] = [] }

    init() throws {
      target = try TestTarget()
      volume = TestVolume(number: 7, reactor: target.reactors[0], sizeBytes: 16 << 20, blockBytes: 512, usesReplicaArena: true)
      let (probes, device) = (ReactorBound(Probes()), volume.device)
      self.probes = probes
      target.server.add(
        SubsystemDescription(name: volume.name, kind: .nvm, serialNumber: "7", namespace: volume.namespace),
        attach: ReactorBound({ host in
          let probe = Probe(device: device.value, host: host)
          probes.value.all.append(probe)
          return probe
        }), onReactor: 0, isDiscoverable: false, usesReplicaArena: true)
    }

    func with<Value: Sendable>(_ body: @escaping @Sendable ([Probe]) -> Value) -> Value {
      let probes = probes
      return target.reactors[0].call { _ in body(probes.value.all) }
    }

    func stop() {
      volume.set(.direct)
      volume.release()
      target.stop()
    }
  }

  /// Adds up what it is sent, counts upwards where data are asked for, and keeps back commands that begin with FFh.
  private final class Probe: ControllerAttachment {
    let host: Host
    var held: [(Outcome) -> Void] = []
    var hasEnded = false
    var byteCount = 0

    init(device: BlockDevice, host: Host) {
      self.host = host
      super.init(device: device)
    }

    override func execute(_ entry: SubmissionEntry, data: [UInt8], done: @escaping (Outcome) -> Void) {
      byteCount += data.count
      switch entry.opcode {
      case 0xC1 where data.first == 0xFF: held.append(done)
      case 0xC1: done(.result(data.reduce(0) { $0 + UInt64($1) }))
      case 0xC2 where entry.dword10 == 1: done(.data([1, 2, 3]))
      case 0xC2: done(.data((0..<Int(entry.dataPointer.length)).map { UInt8(truncatingIfNeeded: $0 &+ Int(entry.dword11)) }))
      case 0xC4: done(.result(0x1122_3344_5566_7788))
      default: super.execute(entry, data: data, done: done)
      }
    }

    override func controllerEnded() { hasEnded = true }
  }

  private func ask(_ host: TestHost, _ data: [UInt8]) -> SubmissionEntry {
    SubmissionEntry(opcode: 0xC1, commandIdentifier: host.identifier(), dataPointer: .inCapsule(length: UInt32(data.count)))
  }

  private func fetch(_ host: TestHost, _ byteCount: UInt32, dword10: UInt32 = 0) -> SubmissionEntry {
    SubmissionEntry(
      opcode: 0xC2, commandIdentifier: host.identifier(), dataPointer: .transportDataBlock(length: byteCount), dword10: dword10, dword11: 3)
  }

  @Test func `commands reach the attachment, and I/O its device`() throws {
    let stand = try Stand()
    defer { stand.stop() }
    let session = try TestSession(stand.target, stand.volume)
    let data = pattern(8192)
    let answer = try session.admin.command(ask(session.admin, data), data: data)
    #expect(answer.status.isSuccess && answer.completion.result == data.reduce(0) { $0 + UInt64($1) })
    for count in [1, 4096, 65536] as [UInt32] {
      let reply = try session.admin.command(fetch(session.admin, count))
      #expect(reply.status.isSuccess && reply.data == (0..<Int(count)).map { UInt8(truncatingIfNeeded: $0 &+ 3) })
    }
    let plain = try session.admin.command(SubmissionEntry(opcode: 0xC4, commandIdentifier: session.admin.identifier()))
    #expect(plain.completion.result == 0x1122_3344_5566_7788)
    #expect(try session.works())
    #expect(stand.with { $0.count == 1 && !$0[0].hasEnded })
    session.close()
    #expect(stand.target.isQuietSoon() && stand.with { $0[0].hasEnded })
  }

  @Test func `commands that contradict themselves are refused and leave nothing behind`() throws {
    let stand = try Stand()
    defer { stand.stop() }
    let session = try TestSession(stand.target, stand.volume)
    let admin = session.admin
    let withoutData = SubmissionEntry(opcode: 0xC1, commandIdentifier: admin.identifier(), dataPointer: .transportDataBlock(length: 512))
    #expect(try admin.command(withoutData).status.matches(.dataSGLLengthInvalid))
    var lying = ask(admin, [1, 2, 3, 4])
    lying.dataPointer = .inCapsule(length: 3)
    #expect(try admin.command(lying, data: [1, 2, 3, 4]).status.matches(.dataSGLLengthInvalid))
    #expect(try admin.command(fetch(admin, 65537)).status.matches(.dataSGLLengthInvalid))
    #expect(try admin.command(fetch(admin, 0)).status.matches(.dataSGLLengthInvalid))
    #expect(try admin.command(fetch(admin, 512, dword10: 1)).status.matches(.internalError))
    var fused = fetch(admin, 512)
    fused.flags |= 1
    #expect(try admin.command(fused).status.matches(.invalidField))
    #expect(try admin.command(SubmissionEntry(opcode: 0xF0, commandIdentifier: admin.identifier())).status.matches(.invalidOpcode))
    #expect(try session.works())
    session.close()
    #expect(stand.target.isQuietSoon())
  }

  @Test func `a subsystem without attachments knows no such command`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let session = try TestSession(target, target.addVolume())
    let data: [UInt8] = [1, 2, 3, 4]
    #expect(try session.admin.command(ask(session.admin, data), data: data).status.matches(.invalidOpcode))
    #expect(try session.works())
    session.close()
  }

  @Test func `before the controller is ready there are no questions`() throws {
    let stand = try Stand()
    defer { stand.stop() }
    let admin = try TestHost(stand.target.address)
    try admin.initialize()
    #expect(try admin.connect(to: stand.volume.name).status.isSuccess)
    #expect(try admin.command(ask(admin, [1]), data: [1]).status.matches(.commandSequenceError))
    #expect(stand.with { $0[0].byteCount == 0 })
    admin.close()
  }

  @Test func `a command may take its time, and others pass it`() throws {
    let stand = try Stand()
    defer { stand.stop() }
    let session = try TestSession(stand.target, stand.volume)
    let slow = ask(session.admin, [0xFF])
    try session.admin.send(session.admin.capsule(slow, data: [0xFF]))
    let quick = try session.admin.command(ask(session.admin, [2, 3]), data: [2, 3])
    #expect(quick.completion.result == 5)
    #expect(try session.works())
    stand.with { $0[0].held[0](.result(9)) }
    #expect(try session.admin.finish(slow.commandIdentifier).completion.result == 9)
    session.close()
    #expect(stand.target.isQuietSoon())
  }

  @Test func `a controller is settled only when its last question is answered`() throws {
    let stand = try Stand()
    defer { stand.stop() }
    let session = try TestSession(stand.target, stand.volume)
    try session.admin.send(session.admin.capsule(ask(session.admin, [0xFF]), data: [0xFF]))
    #expect(TestTarget.eventually { stand.with { $0[0].held.count == 1 } })
    session.close()
    #expect(TestTarget.eventually { stand.with { $0[0].hasEnded } })
    // The same host again: it is not ready before the older one's question is over (R12).
    let admin = try TestHost(stand.target.address)
    try admin.initialize()
    #expect(try admin.connect(to: stand.volume.name).status.isSuccess)
    var configuration = ControllerConfiguration(rawValue: 0)
    configuration.isEnabled = true
    configuration.submissionEntrySizeShift = 6
    configuration.completionEntrySizeShift = 4
    #expect(try admin.setConfiguration(configuration.rawValue).isSuccess)
    pause(milliseconds: 50)
    #expect(try !admin.controllerStatus().isReady)
    stand.with { $0[0].held[0](.result(0)) }
    #expect(try TestTarget.eventually { try admin.controllerStatus().isReady })
    #expect(stand.with { $0.count == 2 })
    admin.close()
    #expect(stand.target.isQuietSoon())
  }

  @Test func `an attachment ends its controller`() throws {
    let stand = try Stand()
    defer { stand.stop() }
    let session = try TestSession(stand.target, stand.volume)
    let other = try TestSession(stand.target, stand.volume, .init(host: .number(2)))
    #expect(stand.with { $0.count == 2 && $0[0].host.identifier != $0[1].host.identifier })
    stand.with { $0[0].endController?() }
    #expect(session.admin.isClosedByTarget() && session.queue.isClosedByTarget())
    #expect(try other.works())
    other.close()
    #expect(stand.target.isQuietSoon())
  }
}
