import NVMe
import Testing

/// Random bytes of random lengths through every decoder: nothing may crash, and whatever is taken for a structure must survive being
/// encoded and decoded again. The same bytes come on every run.
@Suite struct HostileBytesTests {
  static let rounds = 300

  func attack<Value: FixedCodec>(_ type: Value.Type, seed: UInt64, prepare: (inout [UInt8]) -> Void = { _ in }) {
    var generator = SeededGenerator(seed: seed)
    var accepted = 0
    for _ in 0..<Self.rounds {
      let isShort = generator.next() & 3 == 0
      let count = isShort ? Int(generator.next() % UInt64(Value.byteCount)) : Value.byteCount + Int(generator.next() & 0x1F)
      var raw = generator.bytes(count)
      if !isShort { prepare(&raw) }
      do throws(CodecError) {
        let value = try decode(Value.self, raw)
        accepted += 1
        #expect(!isShort, "\(type) out of \(count) bytes")
        let again = written(Value.byteCount) { value.encode(into: &$0, at: 0) }
        #expect(try decode(Value.self, again) == value, "\(type)")
      } catch {
        #expect(!isShort || error == .truncated, "\(type)")
      }
    }
    #expect(accepted > 0, "\(type) took none of the \(Self.rounds) inputs, so nothing was tried")
  }

  @Test func commands() {
    attack(SubmissionEntry.self, seed: 1)
    attack(CompletionEntry.self, seed: 2)
    attack(SGLDescriptor.self, seed: 3)
    attack(DatasetRange.self, seed: 4)
    attack(Identifier128.self, seed: 5)
  }

  @Test func commandFieldsOfAnyBytes() throws {
    var generator = SeededGenerator(seed: 6)
    for _ in 0..<Self.rounds {
      let entry = try decode(SubmissionEntry.self, generator.bytes(64))
      #expect((1...65_536).contains(entry.blockCount) && (1...256).contains(entry.datasetRangeCount))
      #expect(entry.logByteCount >= 4 && entry.logByteCount <= 1 << 34 && entry.logByteCount % 4 == 0)
      #expect(entry.logSpecificParameter < 0x80 && entry.featureSelect < 8 && entry.propertySizeCode < 8)
      #expect(entry.dataPointer.kind == SGLDescriptor(address: 0, length: 0, typeAndSubtype: entry.dataPointer.typeAndSubtype).kind)
    }
  }

  @Test func statusesOfAnyBytesHaveADescription() {
    for raw in UInt16.min...UInt16.max {
      let status = Status(rawValue: raw)
      #expect(Status(type: status.type, code: status.code).matches(status))
      if raw & 0xF001 == 0 { #expect(!status.description.isEmpty) }
    }
  }

  @Test func pdus() {
    attack(PDUCommonHeader.self, seed: 10)
    attack(CapsuleCommandHeader.self, seed: 11) { $0[0] = 0x04 }
    attack(CapsuleResponse.self, seed: 12) { $0[0] = 0x05 }
    attack(DataHeader.self, seed: 13) { $0[0] = 0x06 | $0[0] & 1 }
    attack(ReadyToTransfer.self, seed: 14) { $0[0] = 0x09 }
    attack(InitializeConnectionRequest.self, seed: 15) { $0[0] = 0x00 }
    attack(InitializeConnectionResponse.self, seed: 16) { $0[0] = 0x01 }
  }

  @Test func terminations() {
    var generator = SeededGenerator(seed: 20)
    var accepted = 0
    for round in 0..<3000 {
      var raw = generator.bytes(Int(generator.next() % 200))
      if raw.count >= 8 && round & 1 == 0 {
        raw[0] = 0x02 | raw[0] & 1
        (raw[5], raw[6], raw[7]) = (0, 0, 0)
      }
      guard let request = try? decode(TerminationRequest.self, raw) else { continue }
      accepted += 1
      #expect((0...128).contains(request.offendingHeaderByteCount) && 24 + request.offendingHeaderByteCount <= raw.count)
    }
    #expect(accepted > 0)
  }

  @Test func identify() {
    attack(IdentifyController.self, seed: 30)
    attack(IdentifyNamespace.self, seed: 31) { $0[25] &= 0x3F }
    attack(IdentifyNamespaceIndependent.self, seed: 32)
    attack(IdentifyControllerNVM.self, seed: 33)
    attack(IdentifyNamespaceNVM.self, seed: 34)
    attack(PowerState.self, seed: 35)
    attack(CommandSetCombinations.self, seed: 36)
    attack(NamespaceDescriptors.self, seed: 37) { $0[0] |= 0x08 }
  }

  @Test func logs() {
    attack(ErrorLogEntry.self, seed: 40)
    attack(HealthLog.self, seed: 41)
    attack(FirmwareSlotLog.self, seed: 42)
    attack(CommandEffectsLog.self, seed: 43)
    attack(DiscoveryLogHeader.self, seed: 44)
    attack(DiscoveryLogEntry.self, seed: 45)
  }

  @Test func anaLogs() throws {
    var generator = SeededGenerator(seed: 50)
    var accepted = 0
    for round in 0..<3000 {
      var raw = generator.bytes(Int(generator.next() % 600))
      if raw.count >= 48 && round & 1 == 0 {
        (raw[8], raw[9]) = (raw[8] & 3, 0)
        (raw[20], raw[21], raw[22], raw[23]) = (raw[20] & 0x1F, 0, 0, 0)
        raw[32] = raw[32] & 3 | 1
      }
      guard let log = try? decode(ANALog.self, raw) else { continue }
      accepted += 1
      #expect(log.byteCount() <= raw.count)
      let again = written(log.byteCount()) { log.encode(into: &$0) }
      #expect(try decode(ANALog.self, again) == log)
    }
    #expect(accepted > 0)
  }

  @Test func names() {
    var generator = SeededGenerator(seed: 60)
    for _ in 0..<3000 {
      var raw = generator.bytes(256)
      (raw[0], raw[1], raw[2], raw[3]) = (0x6E, 0x71, 0x6E, 0x2E)
      guard let name = try? decode(QualifiedName.self, raw) else { continue }
      #expect((5...223).contains(name.text.utf8.count) && QualifiedName(name.text) == name)
    }
  }
}
