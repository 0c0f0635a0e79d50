import NVMe
import Reactor
import Target
import Testing

/// Commands that are wrong but framed right: each gets its status, and the connection goes on.
@Suite(.serialized) struct RefusalTests {
  struct Case: CustomTestStringConvertible, Sendable {
    var name: String
    var entry: SubmissionEntry
    /// Bytes in the capsule.
    var inCapsule = 0
    var expected: Status
    var testDescription: String { name }
  }

  private static func change(_ entry: SubmissionEntry, _ body: (inout SubmissionEntry) -> Void) -> SubmissionEntry {
    var entry = entry
    body(&entry)
    return entry
  }

  private static func read(_ lba: UInt64, _ blocks: UInt32, _ data: SGLDescriptor? = nil) -> SubmissionEntry {
    .read(
      commandIdentifier: 42, namespaceIdentifier: 1, startingLBA: lba, blockCount: blocks,
      data: data ?? .transportDataBlock(length: blocks * 512))
  }

  private static func write(_ lba: UInt64, _ blocks: UInt32, _ data: SGLDescriptor? = nil) -> SubmissionEntry {
    .write(
      commandIdentifier: 42, namespaceIdentifier: 1, startingLBA: lba, blockCount: blocks,
      data: data ?? .transportDataBlock(length: blocks * 512))
  }

  private static func zeroes(_ lba: UInt64, _ blocks: UInt32) -> SubmissionEntry {
    .writeZeroes(commandIdentifier: 42, namespaceIdentifier: 1, startingLBA: lba, blockCount: blocks)
  }

  private static func ranges(_ data: SGLDescriptor) -> SubmissionEntry {
    .datasetManagement(commandIdentifier: 42, namespaceIdentifier: 1, rangeCount: 2, data: data)
  }

  private static func other(_ type: UInt8, length: UInt32 = 512, address: UInt64 = 0) -> SGLDescriptor {
    SGLDescriptor(address: address, length: length, typeAndSubtype: type)
  }

  /// 16 MiB of 512 bytes.
  private static let end: UInt64 = 32768
  private static let outside = Status.lbaOutOfRange.withDoNotRetry
  private static let wrongLength = Status.dataSGLLengthInvalid.withDoNotRetry
  private static let wrongType = Status.sglDescriptorTypeInvalid.withDoNotRetry
  private static let wrongField = Status.invalidField.withDoNotRetry
  private static let wrongNamespace = Status.invalidNamespaceOrFormat.withDoNotRetry
  private static let unknown = Status.invalidOpcode.withDoNotRetry

  static let cases: [Case] = [
    Case(name: "read behind the end", entry: read(end, 1), expected: outside),
    Case(name: "read over the end", entry: read(end - 1, 2), expected: outside),
    Case(name: "read at the last possible block", entry: read(.max, 1), expected: outside),
    Case(name: "read of an overflowing range", entry: read(.max - 1, 8), expected: outside),
    Case(name: "write behind the end", entry: write(end, 1), expected: outside),
    Case(name: "in-capsule write over the end", entry: write(end - 1, 2, .inCapsule(length: 1024)), inCapsule: 1024, expected: outside),
    Case(name: "write zeroes over the end", entry: zeroes(end - 8, 9), expected: outside),
    Case(name: "read of more than the largest transfer", entry: read(0, 2049), expected: wrongField),
    Case(name: "write of more than the largest transfer", entry: write(0, 2049), expected: wrongField),
    Case(name: "read with too little room", entry: read(0, 2, .transportDataBlock(length: 512)), expected: wrongLength),
    Case(name: "read with too much room", entry: read(0, 2, .transportDataBlock(length: 4096)), expected: wrongLength),
    Case(name: "read with none", entry: read(0, 2, .transportDataBlock(length: 0)), expected: wrongLength),
    Case(name: "write with too little data", entry: write(0, 2, .transportDataBlock(length: 512)), expected: wrongLength),
    Case(name: "in-capsule write with fewer blocks", entry: write(0, 2, .inCapsule(length: 512)), inCapsule: 512, expected: wrongLength),
    Case(
      name: "in-capsule write whose capsule is short", entry: write(0, 2, .inCapsule(length: 1024)), inCapsule: 512,
      expected: wrongLength),
    Case(
      name: "in-capsule write whose capsule is long", entry: write(0, 1, .inCapsule(length: 512)), inCapsule: 1024, expected: wrongLength),
    Case(name: "in-capsule write without data", entry: write(0, 1, .inCapsule(length: 512)), expected: wrongType),
    Case(name: "capsule data for a data block", entry: write(0, 1), inCapsule: 512, expected: wrongType),
    Case(
      name: "in-capsule data not at the start", entry: write(0, 1, .inCapsule(offset: 4, length: 512)), inCapsule: 512,
      expected: Status.sglOffsetInvalid.withDoNotRetry),
    Case(name: "read into the capsule", entry: read(0, 1, .inCapsule(length: 512)), expected: wrongType),
    Case(name: "address of host memory", entry: read(0, 1, other(0x00, address: 4096)), expected: wrongType),
    Case(name: "bit bucket", entry: read(0, 1, other(0x10)), expected: wrongType),
    Case(name: "segment", entry: write(0, 1, other(0x20, length: 16)), expected: wrongType),
    Case(name: "last segment", entry: write(0, 1, other(0x30, length: 16)), expected: wrongType),
    Case(name: "keyed data block", entry: write(0, 1, other(0x40)), expected: wrongType),
    Case(name: "vendor specific descriptor", entry: write(0, 1, other(0xF0)), expected: wrongType),
    Case(name: "namespace 0", entry: change(read(0, 1)) { $0.namespaceIdentifier = 0 }, expected: wrongNamespace),
    Case(name: "namespace 2", entry: change(write(0, 1)) { $0.namespaceIdentifier = 2 }, expected: wrongNamespace),
    Case(name: "all namespaces, read", entry: change(read(0, 1)) { $0.namespaceIdentifier = .max }, expected: wrongNamespace),
    Case(name: "first of a fused pair", entry: change(read(0, 1)) { $0.flags = 0x41 }, expected: wrongField),
    Case(name: "second of a fused pair", entry: change(write(0, 1)) { $0.flags = 0x42 }, expected: wrongField),
    Case(name: "PRPs", entry: change(read(0, 1)) { $0.flags = 0x00 }, expected: wrongField),
    Case(name: "PSDT 10b", entry: change(read(0, 1)) { $0.flags = 0x80 }, expected: wrongField),
    Case(name: "PSDT 11b", entry: change(read(0, 1)) { $0.flags = 0xC0 }, expected: wrongField),
    Case(name: "write uncorrectable", entry: change(read(0, 1)) { $0.opcode = 0x04 }, expected: unknown),
    Case(name: "compare", entry: change(write(0, 1)) { $0.opcode = 0x05 }, expected: unknown),
    Case(name: "opcode FFh", entry: change(read(0, 1)) { $0.opcode = 0xFF }, expected: unknown),
    Case(
      name: "opcode with capsule data", entry: change(write(0, 1, .inCapsule(length: 512))) { $0.opcode = 0x91 }, inCapsule: 512,
      expected: unknown),
    Case(name: "ranges too short", entry: ranges(.inCapsule(length: 16)), inCapsule: 16, expected: wrongLength),
    Case(name: "ranges by address", entry: ranges(other(0x00, length: 32)), expected: wrongType),
    Case(
      name: "second Connect", entry: .connect(commandIdentifier: 42, queueIdentifier: 1, queueSizeZeroBased: 31, keepAliveMilliseconds: 0),
      inCapsule: 1024, expected: Status.commandSequenceError.withDoNotRetry),
    Case(
      name: "property get on an I/O queue", entry: .propertyGet(commandIdentifier: 42, offset: 0x1C, isEightBytes: false),
      expected: unknown),
    Case(name: "disconnect", entry: .disconnect(commandIdentifier: 42), expected: unknown),
  ]

  @Test(arguments: [false, true]) func `commands that are wrong are refused one by one`(digests: Bool) throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let session = try TestSession(target, volume, .init(headerDigest: digests, dataDigest: digests))
    let bystander = try TestSession(target, volume, .init(host: .number(2)))
    for (index, item) in Self.cases.enumerated() {
      let before = volume.submissions.count
      try session.queue.send(session.queue.capsule(item.entry, data: pattern(item.inCapsule)))
      let reply = try session.queue.finish(42)
      #expect(reply.status == item.expected, "\(item.name): \(reply.status)")
      #expect(reply.data.isEmpty, "\(item.name)")
      #expect(volume.submissions.count == before, "\(item.name)")
      #expect(try session.works(at: UInt64(index)), "\(item.name)")
      #expect(try bystander.works(at: UInt64(index)), "\(item.name)")
    }
    session.close()
    bystander.close()
    #expect(target.isQuietSoon())
  }

  struct ConnectCase: CustomTestStringConvertible, Sendable {
    var name: String
    var expected: Status
    /// IPO and IATTR in dword 0.
    var result: UInt64 = 0
    var dataBytes = 1024
    var change: @Sendable (inout SubmissionEntry, inout ConnectData) -> Void
    var testDescription: String { name }
  }

  static let connectCases: [ConnectCase] = [
    ConnectCase(name: "wrong NQN", expected: .connectInvalidParameters, result: 0x1_0100) {
      $1.subsystemName = QualifiedName("nqn.2026-01.io.keelson:test:none")!
    },
    ConnectCase(name: "a controller of choice", expected: Status.connectInvalidParameters.withDoNotRetry, result: 0x1_0010) {
      $1.controllerIdentifier = 7
    },
    ConnectCase(name: "I/O queue without a controller", expected: .connectInvalidParameters, result: 0x1_0010) {
      $0.dword10 = 1 << 16
      $1.controllerIdentifier = 0x700
    },
    ConnectCase(name: "queue of no entries", expected: Status.connectInvalidParameters.withDoNotRetry, result: 44) { entry, _ in
      entry.dword11 = 0
    },
    ConnectCase(name: "too long a queue", expected: Status.connectInvalidParameters.withDoNotRetry, result: 44) { entry, _ in
      entry.dword11 = 4095
    },
    ConnectCase(name: "unknown format", expected: Status.connectIncompatibleFormat.withDoNotRetry) { entry, _ in entry.dword10 |= 3 },
    ConnectCase(name: "short data", expected: Status.dataSGLLengthInvalid.withDoNotRetry, dataBytes: 512) { entry, _ in
      entry.dataPointer = .inCapsule(length: 512)
    },
    ConnectCase(name: "no data", expected: Status.dataSGLLengthInvalid.withDoNotRetry, dataBytes: 0) { _, _ in },
    ConnectCase(name: "data by R2T", expected: Status.sglDescriptorTypeInvalid.withDoNotRetry, dataBytes: 0) { entry, _ in
      entry.dataPointer = .transportDataBlock(length: 1024)
    },
    ConnectCase(name: "data not at the start", expected: Status.sglOffsetInvalid.withDoNotRetry) { entry, _ in
      entry.dataPointer = .inCapsule(offset: 8, length: 1024)
    },
    ConnectCase(name: "PRPs", expected: Status.invalidField.withDoNotRetry) { entry, _ in entry.flags = 0 },
    ConnectCase(name: "I/O before Connect", expected: Status.commandSequenceError.withDoNotRetry, dataBytes: 0) { entry, _ in
      entry = .read(
        commandIdentifier: 42, namespaceIdentifier: 1, startingLBA: 0, blockCount: 1, data: .transportDataBlock(length: 512))
    },
    ConnectCase(name: "a property before Connect", expected: Status.commandSequenceError.withDoNotRetry, dataBytes: 0) { entry, _ in
      entry = .propertyGet(commandIdentifier: 42, offset: 0, isEightBytes: true)
    },
  ]

  @Test func `Connects that are wrong are refused one by one, and a right one follows`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let bystander = try TestSession(target, volume, .init(host: .number(2)))
    for item in Self.connectCases {
      let host = try TestHost(target.address)
      try host.initialize()
      var entry = SubmissionEntry.connect(commandIdentifier: 42, queueIdentifier: 0, queueSizeZeroBased: 31, keepAliveMilliseconds: 0)
      var data = ConnectData(
        hostIdentifier: HostName().identifier, controllerIdentifier: ConnectData.dynamicController, subsystemName: volume.name,
        hostName: HostName().name)
      item.change(&entry, &data)
      let bytes = encoded(1024) { data.encode(into: &$0) }
      try host.send(host.capsule(entry, data: [UInt8](bytes[..<item.dataBytes])))
      let completion = try host.finish(42).completion
      #expect(completion.status == item.expected, "\(item.name): \(completion)")
      #expect(completion.result == item.result, "\(item.name): \(completion)")
      #expect(try host.connect(to: volume.name).status == .success, "\(item.name)")
      #expect(try bystander.works(), "\(item.name)")
    }
  }

  @Test func `a queue connects once, and only to a controller that is ready, by its own host`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let admin = try TestHost(target.address)
    try admin.initialize()
    let controller = UInt16(try admin.connect(to: volume.name).result)
    func connect(_ queue: UInt16, as host: HostName = HostName()) throws -> Status {
      let connection = try TestHost(target.address)
      try connection.initialize()
      opened.append(connection)
      return try connection.connect(to: volume.name, queue: queue, controller: controller, as: host).status
    }
    var opened: [TestHost] = []
    #expect(try connect(1).matches(.commandSequenceError), "not enabled")
    try admin.enable()
    #expect(try connect(1) == .success)
    #expect(try connect(1) == Status.commandSequenceError.withDoNotRetry)
    #expect(try connect(2, as: .number(5)).matches(.connectInvalidParameters))
    #expect(try connect(65).matches(.connectInvalidParameters))
    #expect(try connect(64) == .success)
    opened[1].close()
    #expect(try TestTarget.eventually { try connect(1) == .success })
  }
}
