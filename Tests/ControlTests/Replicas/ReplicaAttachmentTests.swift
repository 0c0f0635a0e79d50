import Host
import NVMe
import Nexus
import Pool
import Reactor
import Testing

@testable import Control

/// What a replica's subsystem makes of commands that no nexus of ours would send.
@Suite(.serialized) struct ReplicaAttachmentTests {
  private func send(
    _ stand: ReplicaStand, _ remote: RemoteController, _ opcode: UInt8, dword10: UInt32 = 0, dword11: UInt32 = 0, data: [UInt8] = [],
    replyBytes: Int = 0
  ) -> RemoteController.VendorOutcome? {
    var outcome: RemoteController.VendorOutcome?
    remote.vendorCommand(opcode: opcode, dword10: dword10, dword11: dword11, data: data, replyBytes: replyBytes) { outcome = $0 }
    stand.wait { outcome != nil }
    return outcome
  }

  private func isRefused(_ outcome: RemoteController.VendorOutcome?, _ status: Status) -> Bool {
    if case .refused(let found) = outcome { found.matches(status) } else { false }
  }

  @Test func `bytes that are no question are refused, and the session lives on`() throws {
    let stand = try ReplicaStand()
    defer { stand.stop() }
    let remote = try stand.controller(.random())
    defer { remote.abandon() }
    var generator = SystemRandomNumberGenerator()
    let valid = try ReplicaQuestion.checksums(offsetBytes: 0, byteCount: 4096).encoded()
    for round in 0..<300 {
      var bytes = valid
      switch round % 3 {
      case 0: bytes = (0..<Int.random(in: 1...600)).map { _ in UInt8.random(in: 0...255, using: &generator) }
      case 1: bytes[Int.random(in: 0..<bytes.count)] ^= 1 << UInt8.random(in: 0...7)
      default: bytes = Array(bytes.prefix(Int.random(in: 1..<bytes.count)))
      }
      #expect(isRefused(send(stand, remote, ReplicaWire.askOpcode, data: bytes), .invalidField))
    }
    let reply = send(stand, remote, ReplicaWire.askOpcode, data: valid)
    guard case .success(let result, _) = reply, case .message(let count, let ticket) = ReplicaWire.Completion(result: result) else {
      return #expect(Bool(false), "\(String(describing: reply))")
    }
    guard case .success(_, let data) = send(stand, remote, ReplicaWire.fetchOpcode, dword10: ticket, replyBytes: Int(count)) else {
      return #expect(Bool(false))
    }
    #expect(try ReplicaReply(decoding: data).result == .failure(.unclaimed))
  }

  @Test func `replies are fetched whole or in pieces, once, and no others`() throws {
    let stand = try ReplicaStand()
    defer { stand.stop() }
    let remote = try stand.controller(.random())
    defer { remote.abandon() }
    let question = try ReplicaQuestion.metadata.encoded()
    guard case .success(let result, _) = send(stand, remote, ReplicaWire.askOpcode, data: question),
      case .message(let count, let ticket) = ReplicaWire.Completion(result: result)
    else { return #expect(Bool(false)) }
    func fetch(_ ticket: UInt32, _ offset: UInt32, _ count: UInt32) -> RemoteController.VendorOutcome? {
      send(stand, remote, ReplicaWire.fetchOpcode, dword10: ticket, dword11: offset, replyBytes: Int(count))
    }
    #expect(isRefused(fetch(ticket &+ 1, 0, count), .invalidField))
    #expect(isRefused(fetch(ticket, 0, count + 1), .invalidField))
    #expect(isRefused(fetch(ticket, count, 1), .invalidField))
    #expect(isRefused(fetch(ticket, .max, count), .invalidField))
    guard case .success(_, let head) = fetch(ticket, 0, 5), case .success(_, let tail) = fetch(ticket, 5, count - 5) else {
      return #expect(Bool(false))
    }
    #expect(try ReplicaReply(decoding: head + tail).result == .failure(.unclaimed))
    #expect(isRefused(fetch(ticket, 0, count), .invalidField), "it was fetched")
  }

  @Test func `replies that nobody fetches are bounded`() throws {
    let stand = try ReplicaStand()
    defer { stand.stop() }
    let remote = try stand.controller(.random())
    defer { remote.abandon() }
    let question = try ReplicaQuestion.metadata.encoded()
    for _ in 0..<ReplicaAttachment.maximumReplies {
      guard case .success = send(stand, remote, ReplicaWire.askOpcode, data: question) else { return #expect(Bool(false)) }
    }
    #expect(isRefused(send(stand, remote, ReplicaWire.askOpcode, data: question), .commandInterrupted))
    #expect(isRefused(send(stand, remote, 0xC4), .invalidOpcode))
  }
}
