import NVMe
import Reactor
import Target
import Testing

/// Valid sessions with wrong bytes in them: whatever comes, the target goes on and loses nothing.
@Suite(.serialized) struct TargetFuzzTests {
  /// SplitMix64.
  struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
      return z ^ z >> 31
    }
  }

  private static func connect(_ host: TestHost, to name: QualifiedName, queue: UInt16, controller: UInt16, as identity: HostName) -> [UInt8]
  {
    let data = ConnectData(
      hostIdentifier: identity.identifier, controllerIdentifier: controller, subsystemName: name, hostName: identity.name)
    return host.capsule(
      .connect(commandIdentifier: 1, queueIdentifier: queue, queueSizeZeroBased: 31, keepAliveMilliseconds: 0),
      data: encoded(1024) { data.encode(into: &$0) })
  }

  /// The PDUs of a session of an I/O queue, sent without waiting for any answer: R2Ts are guessed.
  private static func queueScript(_ host: TestHost, _ random: inout Generator) -> [[UInt8]] {
    (0..<12).map { index in
      let identifier = UInt16(index)
      let lba = random.next() % 64
      switch random.next() % 8 {
      case 0, 1:
        return host.capsule(
          .write(commandIdentifier: identifier, namespaceIdentifier: 1, startingLBA: lba, blockCount: 2, data: .inCapsule(length: 1024)),
          data: pattern(1024, seed: index))
      case 2:
        let count = random.next() % 2 == 0 ? 8192 : 65536
        let request = ReadyToTransfer(
          commandIdentifier: identifier, transferTag: UInt16(random.next() % 4), requestedOffset: 0, requestedLength: UInt32(count),
          headerDigest: false)
        return host.capsule(
          .write(
            commandIdentifier: identifier, namespaceIdentifier: 1, startingLBA: lba, blockCount: UInt32(count / 512),
            data: .transportDataBlock(length: UInt32(count))))
          + host.dataPDU(request, offset: 0, pattern(count), isLast: true)
      case 3: return host.capsule(.flush(commandIdentifier: identifier, namespaceIdentifier: 1))
      case 4:
        return host.capsule(.writeZeroes(commandIdentifier: identifier, namespaceIdentifier: 1, startingLBA: lba, blockCount: 8))
      case 5:
        return host.capsule(
          .datasetManagement(commandIdentifier: identifier, namespaceIdentifier: 1, rangeCount: 1, data: .inCapsule(length: 16)),
          data: encoded(16) { DatasetRange(startingLBA: lba, blockCount: 8).encode(into: &$0) })
      default:
        return host.capsule(
          .read(
            commandIdentifier: identifier, namespaceIdentifier: 1, startingLBA: lba, blockCount: 16,
            data: .transportDataBlock(length: 8192)))
      }
    }
  }

  /// The PDUs of a session of an admin queue.
  private static func adminScript(_ host: TestHost, _ random: inout Generator) -> [[UInt8]] {
    var entries: [SubmissionEntry] = [
      .propertyGet(commandIdentifier: 0, offset: 0, isEightBytes: true),
      .propertySet(commandIdentifier: 1, offset: ControllerProperty.configuration.rawValue, value: UInt64(TestHost.enabled)),
      .propertyGet(commandIdentifier: 2, offset: ControllerProperty.status.rawValue, isEightBytes: false),
    ]
    for index in 3..<14 {
      let identifier = UInt16(index)
      switch random.next() % 8 {
      case 0: entries.append(.identify(commandIdentifier: identifier, structure: UInt8(random.next() % 0x20), namespaceIdentifier: 1))
      case 1:
        entries.append(
          .getLogPage(
            commandIdentifier: identifier, identifier: UInt8(random.next() % 0x80), byteCount: UInt32(4 + random.next() % 2048 * 4),
            offset: random.next() % 256 * 4))
      case 2: entries.append(.asynchronousEventRequest(commandIdentifier: identifier))
      case 3: entries.append(.abort(commandIdentifier: identifier, queueIdentifier: 0, abortedCommandIdentifier: identifier &- 1))
      case 4:
        entries.append(
          .setFeatures(
            commandIdentifier: identifier, identifier: UInt8(random.next() % 0x20), dword11: UInt32(truncatingIfNeeded: random.next())))
      case 5: entries.append(.getFeatures(commandIdentifier: identifier, identifier: UInt8(random.next() % 0x20)))
      case 6:
        entries.append(
          .propertySet(
            commandIdentifier: identifier, offset: ControllerProperty.configuration.rawValue,
            value: random.next() % 2 == 0 ? 0 : UInt64(TestHost.enabled | 1 << 14)))
      default: entries.append(.keepAlive(commandIdentifier: identifier))
      }
    }
    return entries.map { host.capsule($0) }
  }

  /// Changes some bytes: over, in between, out, or twice; headers more often than data.
  private static func spoil(_ pieces: [[UInt8]], _ random: inout Generator) -> [UInt8] {
    var pieces = pieces
    for _ in 0..<Int(random.next() % 4) {
      let index = Int(random.next() % UInt64(pieces.count))
      guard !pieces[index].isEmpty else { continue }
      let reach = random.next() % 3 == 0 ? pieces[index].count : min(pieces[index].count, 76)
      let place = Int(random.next() % UInt64(reach))
      switch random.next() % 8 {
      case 0: pieces[index].remove(at: place)
      case 1: pieces[index].insert(UInt8(truncatingIfNeeded: random.next()), at: place)
      case 2: pieces[index].removeLast(pieces[index].count - place)
      case 3: pieces.insert(pieces[index], at: Int(random.next() % UInt64(pieces.count)))
      case 4: pieces.swapAt(index, Int(random.next() % UInt64(pieces.count)))
      default: pieces[index][place] = UInt8(truncatingIfNeeded: random.next())
      }
    }
    return pieces.flatMap(\.self)
  }

  @Test(.timeLimit(.minutes(10)), arguments: SessionTests.engines) func `the target survives spoiled sessions`(engine: IOEngineChoice)
    throws
  {
    let target = try TestTarget(engine, reactorCount: 2, arenaBytes: 4 << 20)
    defer { target.stop() }
    let volumes = [target.addVolume(1, onReactor: 0), target.addVolume(2, onReactor: 1)]
    let bystander = try TestSession(target, volumes[0], .init(host: .number(90)))
    let start = Clock.monotonicNanoseconds()
    var seed: UInt64 = 1
    while Clock.monotonicNanoseconds() - start < 5_000_000_000 {
      var random = Generator(state: seed)
      let volume = volumes[Int(seed % 2)]
      let isHolding = random.next() % 4 == 0
      if isHolding { volume.set(.hold) }
      let identity = HostName.number(Int(seed % 3))
      let digests = random.next() % 3 == 0
      let isAdmin = random.next() % 3 == 0
      let session = isAdmin ? nil : try? TestSession(target, volume, .init(host: identity, queueCount: 0))
      let host = try TestHost(target.address, timeoutSeconds: 1)
      if random.next() % 4 == 0 {
        // Wrong from the first byte on.
        let request = encoded(128) { InitializeConnectionRequest(headerDigest: digests, dataDigest: digests).encode(into: &$0) }
        let rest = Self.queueScript(host, &random)
        try? host.send(Self.spoil([request] + rest, &random))
      } else {
        try host.initialize(headerDigest: digests, dataDigest: digests)
        let connect = Self.connect(
          host, to: volume.name, queue: isAdmin ? 0 : 1, controller: isAdmin ? 0xFFFF : session?.controller ?? 1, as: identity)
        if random.next() % 4 == 0 {
          try? host.send(Self.spoil([connect], &random))
        } else {
          try? host.send(connect)
          // An answer, or the target's reactor would change under what follows.
          _ = try? host.receivePDU()
        }
        let script = isAdmin ? Self.adminScript(host, &random) : Self.queueScript(host, &random)
        try? host.send(Self.spoil(script, &random))
      }
      host.setTimeout(milliseconds: 2)
      for _ in 0..<Int(random.next() % 8) { if (try? host.receivePDU()) == nil { break } }
      if isHolding {
        volume.set(.direct)
        if random.next() % 2 == 0 { host.close() }
        volume.release()
      }
      host.close()
      session?.close()
      if seed % 64 == 0 {
        #expect(try bystander.works(at: seed % 100), "seed \(seed)")
        #expect(
          TestTarget.eventually { target.server.registry.connectionCount == 2 && target.usedBytes == 0 },
          "seed \(seed): \(target.server.registry.connectionCount) connections, \(target.usedBytes) bytes")
      }
      seed += 1
    }
    #expect(seed > 50)
    #expect(try bystander.works())
    bystander.close()
    #expect(target.isQuietSoon(), "\(target.server.registry.connectionCount) connections, \(target.usedBytes) bytes, \(seed) seeds")
    for volume in volumes {
      let clean = try TestSession(target, volume)
      #expect(try clean.works())
      clean.close()
    }
    #expect(target.isQuietSoon())
  }
}
