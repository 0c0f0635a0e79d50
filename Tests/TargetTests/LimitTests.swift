import Glibc
import NVMe
import Reactor
import Target
import Testing

@Suite(.serialized) struct LimitTests {
  private static func quick(_ change: (inout TargetLimits) -> Void = { _ in }) -> TargetLimits {
    var limits = TargetLimits()
    limits.tickNanoseconds = 20_000_000
    change(&limits)
    return limits
  }

  @Test func `a socket that says nothing, or no Connect, is closed in time`() throws {
    #expect(TargetLimits().handshakeNanoseconds == 10_000_000_000)
    let target = try TestTarget(reactorCount: 2, limits: Self.quick { $0.handshakeNanoseconds = 200_000_000 })
    defer { target.stop() }
    let volume = target.addVolume()
    let far = target.addVolume(2, onReactor: 1)
    let session = try TestSession(target, volume)
    let silent = try TestHost(target.address)
    let initialized = try TestHost(target.address)
    try initialized.initialize()
    let halfway = try TestHost(target.address)
    try halfway.send([0, 0, 128])
    let refused = try TestHost(target.address)
    try refused.initialize()
    #expect(try !refused.connect(to: far.name, queue: 3, controller: 9).status.isSuccess)
    for host in [silent, initialized, halfway, refused] { #expect(host.isClosedByTarget()) }
    #expect(try session.works())
    session.close()
    #expect(target.isQuietSoon())
  }

  @Test func `connections are limited, per host and in all`() throws {
    let target = try TestTarget(limits: Self.quick { $0.connectionsPerHost = 4 })
    defer { target.stop() }
    let volume = target.addVolume()
    let session = try TestSession(target, volume, .init(queueCount: 3))
    let further = try TestHost(target.address)
    #expect(further.isClosedByTarget())
    #expect(try session.works())
    session.close()
    #expect(target.isQuietSoon())
    #expect(try TestSession(target, volume).works())

    let small = try TestTarget(limits: Self.quick { $0.connections = 2 })
    defer { small.stop() }
    let pair = try TestSession(small, small.addVolume())
    #expect(try TestHost(small.address).isClosedByTarget())
    #expect(try pair.works())
    #expect(small.log.contains { $0.contains("too many connections") })
  }

  @Test func `a silent host is dropped by keep-alive, one that works is not`() throws {
    let target = try TestTarget(limits: Self.quick())
    defer { target.stop() }
    let volume = target.addVolume()
    let silent = try TestSession(target, volume, .init(host: .number(1), keepAliveMilliseconds: 1000))
    // This one is busy on one queue; its other queue and its admin queue say nothing.
    let busy = try TestSession(target, volume, .init(host: .number(2), queueCount: 2, keepAliveMilliseconds: 1000))
    let patient = try TestSession(target, volume, .init(host: .number(3)))
    let start = Clock.monotonicNanoseconds()
    while Clock.monotonicNanoseconds() - start < 3_000_000_000 {
      #expect(try busy.works())
      pause(milliseconds: 100)
    }
    #expect(silent.admin.isClosedByTarget())
    #expect(silent.queue.isClosedByTarget())
    #expect(try patient.works())
    #expect(try busy.admin.command(.keepAlive(commandIdentifier: 1)).status == .success)
    #expect(try busy.works())
  }

  static var residentBytes: Int {
    guard let file = unsafe fopen("/proc/self/statm", "r") else { return 0 }
    defer { unsafe fclose(file) }
    var line = [CChar](repeating: 0, count: 128)
    guard unsafe fgets(&line, 128, file) != nil else { return 0 }
    let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let fields = text.split(separator: " ")
    return fields.count > 1 ? (Int(fields[1]) ?? 0) * 4096 : 0
  }

  @Test func `a thousand idle connections are cheap`() async {
    // In a process of its own, so that the memory of other tests does not count.
    await #expect(processExitsWith: .success) {
      var files = rlimit()
      unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
      files.rlim_cur = min(files.rlim_max, 8192)
      unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
      try #require(files.rlim_cur >= 2300)
      let target = try TestTarget()
      defer { target.stop() }
      let volume = target.addVolume()
      let first = try TestSession(target, volume)
      #expect(try first.works())
      let before = Self.residentBytes
      var sessions: [TestSession] = []
      for number in 0..<20 {
        sessions.append(try TestSession(target, volume, .init(host: .number(10 + number), queueCount: 49, entries: 128)))
      }
      #expect(target.server.registry.connectionCount == 1002)
      // Each has worked once.
      for session in sessions {
        for queue in session.queues { #expect(try queue.read(0, blocks: 8).status == .success) }
      }
      let grown = Self.residentBytes - before
      #expect(grown < 64 << 20, "\(grown >> 20) MiB")
      #expect(target.usedBytes == 0)
      #expect(try first.works())
      for session in sessions { session.close() }
      first.close()
      #expect(target.isQuietSoon())
    }
  }

  @Test func `answers that a host does not fetch are bounded`() async {
    // In a process of its own, so that the memory of other tests does not count.
    await #expect(processExitsWith: .success) {
      let target = try TestTarget()
      defer { target.stop() }
      let volume = target.addVolume()
      let bystander = try TestSession(target, volume, .init(host: .number(2)))
      let deaf = try TestSession(target, volume, .init(timeoutSeconds: 1, receiveBufferBytes: 4096))
      let before = Self.residentBytes
      // Every command is answered at once with an error, and no answer is read: the target must stop taking commands.
      var command = SubmissionEntry.flush(commandIdentifier: 1, namespaceIdentifier: 1)
      command.opcode = 0x91
      let burst = (0..<1000).flatMap { _ in deaf.queue.capsule(command) }
      var sent = 0
      while sent < 2000, (try? deaf.queue.send(burst)) != nil { sent += 1 }
      #expect(sent < 2000, "144 MB of commands were taken")
      #expect(Self.residentBytes - before < 16 << 20)
      #expect(try bystander.works())
      deaf.close()
      bystander.close()
      #expect(target.isQuietSoon())
    }
  }
}
