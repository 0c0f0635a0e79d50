import NVMe
import Testing

@testable import Target

/// Random commands, from fixed seeds: nothing a host sends stops the process or leaves the rules.
@Suite struct ControllerFuzzTests {
  /// SplitMix64.
  struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
  }

  /// 64 random bytes, most with a few fields that let them come further than the first check.
  private func entry(_ random: inout Generator) throws -> SubmissionEntry {
    var bytes = (0..<64).map { _ in UInt8.random(in: 0...255, using: &random) }
    let opcodes: [UInt8] = [0x02, 0x06, 0x08, 0x09, 0x0A, 0x0C, 0x18, 0x7F]
    if random.next() % 8 != 0 {
      bytes[0] = opcodes[Int(random.next() % UInt64(opcodes.count))]
      bytes[1] = 0x40
    }
    if random.next() % 2 == 0 {
      bytes[4..<8] = [UInt8(random.next() % 3), 0, 0, 0]
      bytes[39] = 0x5A
      bytes[40] = [0x00, 0x01, 0x02, 0x03, 0x05, 0x06, 0x07, 0x08, 0x0B, 0x0C, 0x0F, 0x1C, 0x70, 0x81][Int(random.next() % 14)]
      for index in 42..<60 where random.next() % 2 == 0 { bytes[index] = 0 }
      let length = bytes[0] == 0x02 ? (Int(bytes[42]) | Int(bytes[43]) << 8) * 4 + 4 : 4096
      bytes[32...35] = [UInt8(length & 0xFF), UInt8(length >> 8 & 0xFF), UInt8(length >> 16), 0]
    }
    if bytes[0] == 0x7F && random.next() % 2 == 0 {
      bytes[4] = random.next() % 2 == 0 ? 0 : 4
      bytes[40] = 0
      bytes[44..<48] = [[0x00, 0x08, 0x14, 0x1C][Int(random.next() % 4)], 0, 0, 0]
      if random.next() % 2 == 0 { bytes[48..<52] = [1, 0, 0x46, 0] }
    }
    return try decode(bytes, SubmissionEntry.init(decoding:at:))
  }

  @Test(arguments: [false, true], 1...4 as ClosedRange<UInt64>)
  func `random commands keep the controller's invariants`(isDiscovery: Bool, seed: UInt64) throws {
    var random = Generator(state: seed)
    let records = (0..<40).map { index in
      DiscoveryRecord(
        subsystemName: Fixture.volumeName, kind: .nvm, address: "192.0.2.1", port: UInt16(4420 + index), portIdentifier: UInt16(index))
    }
    let subsystem = isDiscovery ? Fixture.discovery(records) : Fixture.subsystem()
    let controller = try Fixture.connectedController(subsystem)
    var successes = 0
    for step in 0..<6_000 {
      let entry = try entry(&random)
      let count = controller.replyByteCount(entry)
      #expect(count <= subsystem.description.maximumTransferBytes)
      let (outcome, _) = controller.run(entry, now: UInt64(step) * 1_000_000)
      switch outcome {
      case .complete(let completion):
        #expect(completion.dataByteCount <= count)
        if completion.status.isSuccess { successes += 1 } else { #expect(completion.dataByteCount == 0 && completion.effect == nil) }
        if let effect = completion.effect { controller.effectPerformed(effect) }
      case .parked: #expect(controller.events.requests.last == entry.commandIdentifier)
      case .abort(let queueIdentifier, _): #expect(controller.ioQueues.contains(queueIdentifier))
      }
      #expect(controller.events.requests.count <= EventQueue.requestLimit)
      #expect(controller.effectInProgress == nil)
      if random.next() % 64 == 0 { controller.anaChanged() }
      if random.next() % 64 == 0 { controller.namespaceAttributesChanged(1) }
      if random.next() % 64 == 0 { controller.discoveryLogChanged() }
      _ = controller.takeEvent()
      if !controller.status.isReady && random.next() % 4 == 0 {
        try controller.setConfiguration(0)
        controller.effectPerformed(.reset)
        try controller.enable()
      }
    }
    #expect(successes > 100)
  }

  @Test(arguments: 1...4 as ClosedRange<UInt64>)
  func `random Connect commands are refused or make a controller`(seed: UInt64) throws {
    var random = Generator(state: seed)
    let subsystem = Fixture.subsystem()
    for _ in 0..<2_000 {
      var data = Fixture.data()
      for _ in 0..<Int(random.next() % 4) { data[Int(random.next() % 1024)] = UInt8(random.next() % 256) }
      var entry = SubmissionEntry.connect(commandIdentifier: 1, queueIdentifier: 0, queueSizeZeroBased: 31, keepAliveMilliseconds: 0)
      if random.next() % 2 == 0 { entry.dword10 = UInt32(truncatingIfNeeded: random.next()) & 0x0001_0001 }
      if random.next() % 2 == 0 { entry.dword11 = UInt32(truncatingIfNeeded: random.next()) & 0xFF }
      entry.dword12 = UInt32(truncatingIfNeeded: random.next())
      do {
        let request = try decode(data, { bytes, _ in try ConnectRequest(entry, data: bytes) })
        if request.data.subsystemName != subsystem.name { continue }
        if request.queueIdentifier == 0 {
          let connection = try subsystem.connectAdmin(request, portal: 1, now: 0)
          for older in connection.replaced { subsystem.remove(older) }
          #expect(subsystem.controller(connection.controller.identifier) === connection.controller)
        } else {
          _ = try subsystem.connectIO(request)
        }
      } catch let refusal as CommandRefusal {
        #expect(!refusal.status.isSuccess)
      }
      #expect(subsystem.controllers.count <= subsystem.description.maximumControllers)
    }
  }
}
