import Foundation
import Glibc
import NVMe
import Reactor
import Synchronization
import Testing

@testable import Control

/// What the controller finds out itself before it believes that a node is lost.
@Suite struct LossJudgeTests {
  private func node(_ name: String, port: String) -> NodeStatus {
    NodeStatus(
      name: name, pid: 1, incarnation: "process of \(name)", addresses: [.init(adrfam: "ipv4", traddr: "127.0.0.1", trsvcid: port)],
      ioEngine: "io_uring", state: .ready, startedAt: Date(timeIntervalSince1970: 0))
  }

  /// Nodes a to c, of which `lost` are so called by c.
  private func state(lost: [String], port: String = "4420") throws -> ClusterState {
    var store = SimulatedStore()
    for name in ["a", "b", "c"] { try store.put(Keys.nodeStatus(name), node(name, port: port)) }
    let status = PeerStatus(incarnation: "process of c", lost: lost.map { .init(node: $0, incarnation: "process of \($0)") })
    try store.put(Keys.peerStatus(node: "c"), status)
    return store.state
  }

  @Test func `without a report nobody is asked`() throws {
    let asked = Atomic(0)
    var judge = LossJudge { _, _ in
      asked.wrappingAdd(1, ordering: .relaxed)
      return true
    }
    let reached = try judge.judge(state(lost: []), now: 0)
    #expect(reached.isEmpty)
    #expect(asked.load(ordering: .relaxed) == 0 && judge.nextLookNanoseconds == nil)
  }

  @Test func `one that answers is not lost, and is asked again while the report stands`() throws {
    let asked = Atomic(0)
    let lives = Atomic(true)
    var judge = LossJudge { address, milliseconds in
      #expect(address.port == 4420 && milliseconds == LossJudge.patienceMilliseconds)
      asked.wrappingAdd(1, ordering: .relaxed)
      return lives.load(ordering: .relaxed)
    }
    let reported = try state(lost: ["a"])
    let first = judge.judge(reported)
    #expect(first == ["process of a"] && judge.nextLookNanoseconds == LossJudge.againNanoseconds)
    let second = judge.judge(reported, now: 0)
    #expect(second == first)
    #expect(asked.load(ordering: .relaxed) == 1, "not again so soon")
    lives.store(false, ordering: .relaxed)
    let third = judge.judge(reported, now: .max)
    #expect(third.isEmpty)
    #expect(asked.load(ordering: .relaxed) == 2 && judge.nextLookNanoseconds == nil)
  }

  @Test func `one that does not answer is lost, whatever others do`() throws {
    var judge = LossJudge { address, _ in address.port == 4421 }
    let silent = try judge.judge(state(lost: ["a", "b"]), now: 0)
    let talking = try judge.judge(state(lost: ["a", "b"], port: "4421"), now: 0)
    #expect(silent.isEmpty && talking == ["process of a", "process of b"])
    // An address that makes no sense is no answer.
    var other = LossJudge { _, _ in true }
    let nowhere = try other.judge(state(lost: ["a"], port: "nowhere"), now: 0)
    #expect(nowhere.isEmpty)
  }

  @Test func `what was found out ends with the report`() throws {
    var judge = LossJudge { _, _ in true }
    let reached = try judge.judge(state(lost: ["a"]))
    let later = try judge.judge(state(lost: []))
    #expect(reached == ["process of a"] && later.isEmpty && judge.nextLookNanoseconds == nil)
  }

  // MARK: The look itself

  /// A listener that takes one connection, reads a request and answers with these bytes; nothing for nil.
  private func answering(_ bytes: [UInt8]?, _ body: (SocketAddress) -> Void) throws {
    let listener = try Socket.listen(on: SocketAddress(host: "127.0.0.1", port: 0)!)
    let address = try #require(Socket.localAddress(listener))
    let isOver = Atomic(false)
    let ended = Rendezvous<Bool>()
    PlainThread.start(name: "test-listener") {
      var accepted: Int32?
      while !isOver.load(ordering: .sequentiallyConsistent) {
        if accepted == nil { accepted = Socket.accept(listener) }
        if let descriptor = accepted, let bytes {
          var buffer = [UInt8](repeating: 0, count: 512)
          if unsafe recv(descriptor, &buffer, 512, 0) > 0 { _ = unsafe send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }
        }
        usleep(1000)
      }
      if let accepted { close(accepted) }
      close(listener)
      ended.fulfil(true)
    }
    body(address)
    isOver.store(true, ordering: .sequentiallyConsistent)
    _ = ended.wait()
  }

  @Test func `an answer as NVMe's is a sign of life, and nothing else is`() throws {
    // ICResp, as NVMe/TCP begins it.
    try answering([0x01, 0, 128, 0, 128, 0, 0, 0]) { #expect(LossJudge.handshake($0, milliseconds: 120_000)) }
    try answering(Array("HTTP/1.1 400\r\n".utf8)) { #expect(!LossJudge.handshake($0, milliseconds: 120_000)) }
    // A process that is stopped: its kernel accepts, and nobody answers.
    try answering(nil) { #expect(!LossJudge.handshake($0, milliseconds: 200)) }
    var gone: SocketAddress?
    try answering(nil) { gone = $0 }
    #expect(!LossJudge.handshake(try #require(gone), milliseconds: 120_000), "nobody listens")
  }
}
