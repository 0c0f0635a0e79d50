import NVMe
import Reactor
import Target
import Testing

@Suite(.serialized) struct TransferTests {
  struct Shape: CustomTestStringConvertible, Sendable {
    var blockBytes: UInt32
    var digests: Bool
    var disableFlowControl: Bool
    var testDescription: String { "\(blockBytes) bytes, digests \(digests), no flow control \(disableFlowControl)" }
  }

  static let shapes = [512, 4096].flatMap { blockBytes in
    [false, true].flatMap { digests in
      [false, true].map { Shape(blockBytes: blockBytes, digests: digests, disableFlowControl: $0) }
    }
  }

  @Test(arguments: shapes) func `data arrive whole by every way`(shape: Shape) throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume(blockBytes: shape.blockBytes)
    let session = try TestSession(
      target, volume,
      .init(headerDigest: shape.digests, dataDigest: shape.digests, disableFlowControl: shape.disableFlowControl))
    let queue = session.queue
    let block = Int(shape.blockBytes)
    // Lengths around every boundary: in-capsule limit, bulk reception, receive buffer, largest transfer.
    var offset = 0
    for (step, length) in [block, 8192, 16384, 12 << 10, 64 << 10, 132 << 10, 1 << 20].enumerated() {
      let data = pattern(length, seed: step)
      let lba = UInt64(offset / block)
      if length <= 8192 {
        #expect(try queue.write(lba, data, blockBytes: block).status == .success)
        #expect(volume.bytes(offsetBytes: offset, count: length) == data)
      }
      let other = pattern(length, seed: step + 100)
      // In pieces of odd sizes (multiples of 4), and in one.
      for chunk in [4096, 9 * 1024 + 4, Int.max] {
        #expect(try queue.write(lba, other, blockBytes: block, inCapsule: false, chunk: chunk).status == .success)
        #expect(volume.bytes(offsetBytes: offset, count: length) == other)
      }
      let reply = try queue.read(lba, blocks: length / block, blockBytes: block)
      #expect(reply.data == other)
      #expect(reply.status == .success)
      #expect(reply.isImplied == shape.disableFlowControl)
      offset += length
    }
    session.close()
    #expect(target.isQuietSoon())
  }

  @Test func `FUA, flush, write zeroes and deallocate reach the device`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    volume.fill(offsetBytes: 0, pattern(64 << 10))
    let queue = try TestSession(target, volume).queue
    #expect(try queue.write(0, pattern(512), forceUnitAccess: true).status == .success)
    #expect(try queue.command(.flush(commandIdentifier: 1, namespaceIdentifier: 1)).status == .success)
    #expect(try queue.command(.flush(commandIdentifier: 2, namespaceIdentifier: 0xFFFF_FFFF)).status == .success)
    #expect(
      try queue.command(
        .writeZeroes(commandIdentifier: 3, namespaceIdentifier: 1, startingLBA: 16, blockCount: 8, forceUnitAccess: true)
      ).status == .success)
    #expect(
      volume.executed == [
        .init(operation: .write, offsetBytes: 0, byteCount: 512, forceUnitAccess: true),
        .init(operation: .flush, offsetBytes: 0, byteCount: 0, forceUnitAccess: false),
        .init(operation: .flush, offsetBytes: 0, byteCount: 0, forceUnitAccess: false),
        .init(operation: .writeZeroes, offsetBytes: 8192, byteCount: 4096, forceUnitAccess: true),
      ])
    #expect(volume.bytes(offsetBytes: 8192, count: 4096).allSatisfy { $0 == 0 })
  }

  private func deallocate(_ queue: TestHost, _ ranges: [DatasetRange], inCapsule: Bool = true, deallocates: Bool = true) throws -> Status {
    let bytes = encoded(ranges.count * DatasetRange.byteCount) {
      for (index, range) in ranges.enumerated() { range.encode(into: &$0, at: index * DatasetRange.byteCount) }
    }
    return try queue.command(
      .datasetManagement(
        commandIdentifier: queue.identifier(), namespaceIdentifier: 1, rangeCount: ranges.count, deallocate: deallocates,
        data: inCapsule ? .inCapsule(length: UInt32(bytes.count)) : .transportDataBlock(length: UInt32(bytes.count))), data: bytes
    ).status
  }

  @Test(arguments: [true, false]) func `dataset management takes many ranges, empty ones included`(inCapsule: Bool) throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let queue = try TestSession(target, volume).queue
    let ranges = [
      DatasetRange(startingLBA: 8, blockCount: 8), DatasetRange(startingLBA: 0, blockCount: 0),
      DatasetRange(startingLBA: 32, blockCount: 16),
    ]
    #expect(try deallocate(queue, ranges, inCapsule: inCapsule) == .success)
    let expected = [
      TestDevice.Submission(operation: .deallocate, offsetBytes: 4096, byteCount: 4096, forceUnitAccess: false),
      TestDevice.Submission(operation: .deallocate, offsetBytes: 16384, byteCount: 8192, forceUnitAccess: false),
    ]
    #expect(volume.executed == expected)
    let most = (0..<256).map { DatasetRange(startingLBA: UInt64($0 * 8), blockCount: 8) }
    #expect(try deallocate(queue, most, inCapsule: inCapsule) == .success)
    #expect(volume.executed.count == 258)
    // The whole volume, as mkfs does.
    #expect(try deallocate(queue, [DatasetRange(startingLBA: 0, blockCount: 32768)], inCapsule: inCapsule) == .success)
    #expect(volume.executed.last?.byteCount == 16 << 20)
    // Hints that are not Deallocate do nothing.
    #expect(try deallocate(queue, ranges, inCapsule: inCapsule, deallocates: false) == .success)
    #expect(volume.executed.count == 259)
  }

  @Test func `dataset management with a range outside touches nothing`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let queue = try TestSession(target, volume).queue
    for outside in [
      DatasetRange(startingLBA: 32768, blockCount: 1), DatasetRange(startingLBA: 32760, blockCount: 9),
      DatasetRange(startingLBA: .max, blockCount: 8), DatasetRange(startingLBA: 0, blockCount: .max),
    ] {
      #expect(
        try deallocate(queue, [DatasetRange(startingLBA: 0, blockCount: 8), outside]) == Status.lbaOutOfRange.withDoNotRetry)
    }
    #expect(volume.submissions.isEmpty)
  }

  @Test func `many commands at once are all answered`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let session = try TestSession(target, volume, .init(entries: 128))
    let queue = session.queue
    var bytes: [UInt8] = []
    for index in 0..<127 {
      bytes += queue.capsule(
        .write(
          commandIdentifier: UInt16(index), namespaceIdentifier: 1, startingLBA: UInt64(index * 8), blockCount: 8,
          data: .inCapsule(length: 4096)), data: pattern(4096, seed: index))
    }
    try queue.send(bytes)
    var answered = Set<UInt16>()
    while answered.count < 127 {
      guard case .response(let completion) = try queue.receivePDU() else { break }
      #expect(completion.status == .success)
      answered.insert(completion.commandIdentifier)
    }
    #expect(answered.count == 127)
    bytes = []
    for index in 0..<127 {
      bytes += queue.capsule(
        .read(
          commandIdentifier: UInt16(index), namespaceIdentifier: 1, startingLBA: UInt64(index * 8), blockCount: 8,
          data: .transportDataBlock(length: 4096)))
    }
    try queue.send(bytes)
    var read = Set<UInt16>()
    while answered.count + read.count < 254 || read.count < 127 {
      switch try queue.receivePDU() {
      case .data(let header, let data):
        #expect(data == pattern(4096, seed: Int(header.commandIdentifier)))
      case .response(let completion): read.insert(completion.commandIdentifier)
      case let other: throw HostFailure.unexpected("\(other)")
      }
    }
  }

  struct Outcome: Sendable {
    let block: BlockStatus
    let write: Status
    let read: Status
  }

  static let outcomes = [
    Outcome(block: .writeFault, write: .writeFault, read: .writeFault),
    Outcome(block: .readFault, write: .unrecoveredReadError, read: .unrecoveredReadError),
    Outcome(
      block: .capacityExceeded, write: Status.capacityExceeded.withDoNotRetry, read: Status.capacityExceeded.withDoNotRetry),
    Outcome(block: .inaccessible, write: .anaInaccessible, read: .anaInaccessible),
    Outcome(block: .aborted, write: .abortRequested, read: .abortRequested),
    Outcome(block: .refused, write: Status.accessDenied.withDoNotRetry, read: Status.accessDenied.withDoNotRetry),
    Outcome(block: .busy, write: .commandInterrupted, read: .commandInterrupted),
    Outcome(block: .connectionLost, write: .writeFault, read: .unrecoveredReadError),
  ]

  @Test(arguments: outcomes) func `a device's answers become statuses`(outcome: Outcome) throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let session = try TestSession(target, volume, .init(disableFlowControl: true))
    volume.setAnswer(outcome.block)
    #expect(try session.queue.write(0, pattern(512)).status == outcome.write)
    let read = try session.queue.read(0, blocks: 1)
    #expect(read.status == outcome.read)
    #expect(read.data.isEmpty)
    volume.setAnswer(.success)
    #expect(try session.works())
  }
}
