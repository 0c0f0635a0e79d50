import Pool
import Testing

@testable import Nexus

@Suite struct MessageCodingTests {
  @Test func `questions survive the way`() throws {
    for question in MessageSamples.questions {
      let bytes = try question.encoded()
      #expect(bytes.count <= ReplicaQuestion.maximumMessageBytes)
      #expect(try ReplicaQuestion(decoding: bytes) == question)
    }
  }

  @Test func `replies survive the way`() throws {
    for reply in MessageSamples.replies { #expect(try ReplicaReply(decoding: reply.encoded()) == reply) }
  }

  @Test func `a question byte by byte`() throws {
    let bytes = try ReplicaQuestion.checksums(offsetBytes: 0x1122_3344_5566_7788, byteCount: 4096).encoded()
    #expect(Array(bytes[0..<8]) == [1, 8, 0, 0, 28, 0, 0, 0])
    #expect(Array(bytes[12...]) == [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0, 0x10, 0, 0, 0, 0, 0, 0])
    let regions = try ReplicaQuestion.setRegions(.missed(peer: MessageSamples.peer), [3..<5], isMember: true).encoded()
    #expect(regions[1] == 5 && Array(regions[12..<28]) == MessageSamples.peer.bytes)
    #expect(Array(regions[28...]) == [1, 1, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0])
  }

  @Test func `a reply byte by byte`() throws {
    let bytes = ReplicaReply(.failure(.claimed(generation: 258))).encoded()
    #expect(Array(bytes[0..<8]) == [1, 129, 0, 0, 20, 0, 0, 0] && Array(bytes[12...]) == [2, 1, 0, 0, 0, 0, 0, 0])
  }

  @Test func `every truncation and every byte more is refused`() throws {
    let questions = try MessageSamples.questions.map { try $0.encoded() }
    let replies = MessageSamples.replies.map { $0.encoded() }
    for bytes in questions + replies {
      for count in 0..<bytes.count {
        let head = Array(bytes.prefix(count))
        #expect(throws: MessageFlaw.self) { try ReplicaQuestion(decoding: head) }
        #expect(throws: MessageFlaw.self) { try ReplicaReply(decoding: head) }
        // Also where the envelope says that it is all.
        guard count >= MessageEnvelope.byteCount else { continue }
        let whole = resealed(head)
        #expect(throws: MessageFlaw.self) { try ReplicaQuestion(decoding: whole) }
        #expect(throws: MessageFlaw.self) { try ReplicaReply(decoding: whole) }
      }
      let longer = resealed(bytes + [0])
      #expect(throws: MessageFlaw.self) { try ReplicaQuestion(decoding: longer) }
      #expect(throws: MessageFlaw.self) { try ReplicaReply(decoding: longer) }
    }
  }

  @Test func `every flipped bit is noticed`() throws {
    let bytes = try ReplicaQuestion.claim(MessageSamples.claim).encoded()
    for bit in 0..<bytes.count * 8 {
      var flipped = bytes
      flipped[bit / 8] ^= UInt8(1 << (bit % 8))
      #expect(throws: MessageFlaw.self) { try ReplicaQuestion(decoding: flipped) }
    }
  }

  /// What can be read at all says what it says: written again it is the same.
  @Test func `bytes that were tampered with are refused or mean something`() throws {
    var generator = SeededGenerator(seed: 11)
    let samples = try MessageSamples.questions.map { try $0.encoded() } + MessageSamples.replies.map { $0.encoded() }
    var readable = 0
    for round in 0..<20_000 {
      var bytes = samples[round % samples.count]
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        let place = Int.random(in: 0..<bytes.count, using: &generator)
        bytes[place] =
          Bool.random(using: &generator)
          ? UInt8.random(in: 0...255, using: &generator) : [0, 1, 127, 128, 255].randomElement(using: &generator)!
      }
      bytes = resealed(bytes)
      if let question = try? ReplicaQuestion(decoding: bytes) {
        readable += 1
        #expect(try question.encoded() == bytes)
      }
      if let reply = try? ReplicaReply(decoding: bytes) {
        readable += 1
        #expect(try ReplicaReply(decoding: reply.encoded()) == reply)
      }
    }
    #expect(readable > 100)
  }

  @Test func `a few bytes cannot ask for much memory`() throws {
    var writer = MessageWriter(kind: 70)
    writer.append(MessageSamples.claim)
    writer.append(MessageSamples.peer)
    writer.append(false)
    writer.append(UInt8(0))
    writer.append(ranges: [0..<MessageReader.maximumRegions + 1])
    writer.append(UInt32(0))
    #expect(throws: MessageFlaw.tooLong) { try ReplicaReply(decoding: writer.sealed()) }
    var checksums = MessageWriter(kind: 68)
    checksums.append(UInt32.max)
    #expect(throws: MessageFlaw.wrongLength) { try ReplicaReply(decoding: checksums.sealed()) }
  }

  @Test func `what does not fit is not sent`() throws {
    let many = (0...ReplicaQuestion.maximumMessageRanges).map { $0 * 2..<$0 * 2 + 1 }
    #expect(throws: MessageFlaw.tooLong) { try ReplicaQuestion.setRegions(.activity, many, isMember: true).encoded() }
    #expect(
      try ReplicaQuestion.setRegions(.activity, Array(many.dropLast()), isMember: true).encoded().count
        <= ReplicaQuestion.maximumMessageBytes)
    let long = String(repeating: "ü", count: 2000)
    guard case .failure(.faulted(let text)) = try ReplicaReply(decoding: ReplicaReply(.failure(.faulted(long))).encoded()).result else {
      return #expect(Bool(false))
    }
    #expect(text == String(repeating: "ü", count: 512))
    let vast = ReplicaMetadata(
      claim: .none, bootID: .none, mayHaveLostCache: false, hotRegions: Array(0...MessageReader.maximumRegions), missed: [])
    guard case .failure(.faulted) = try ReplicaReply(decoding: ReplicaReply(.success(.metadata(vast))).encoded()).result else {
      return #expect(Bool(false))
    }
  }

  @Test func `dense sets are bitmaps and sparse ones ranges`() throws {
    for regions in [[], [5], Array(0..<100_000), Array(stride(from: 0, to: 100_000, by: 2)), [0, 1 << 25]] {
      var writer = MessageWriter(kind: 1)
      writer.append(regions: regions)
      #expect(writer.bytes.count <= MessageEnvelope.byteCount + 5 + min((regions.last ?? 0) / 8 + 8, regions.count * 8))
      var reader = try MessageReader(writer.sealed())
      #expect(try reader.regions() == regions)
      try reader.finish()
    }
  }

  /// With length and checksum as they should be.
  private func resealed(_ bytes: [UInt8]) -> [UInt8] {
    var sealed = bytes
    MessageWriter.store(UInt32(bytes.count), at: 4, in: &sealed)
    MessageWriter.store(MessageWriter.checksum(sealed), at: MessageEnvelope.checksumOffset, in: &sealed)
    return sealed
  }
}
