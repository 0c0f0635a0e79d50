import CLinux
import Foundation
import Glibc
import NVMe
import Reactor

/// Whether nodes that their peers have lost can be reached from here: the controller's own look before it moves what they serve.
///
/// A node that answers is not moved away from on a peer's word alone; it is asked again after a while, as long as the word stands. One that does
/// not answer may live all the same, cut off: its claims are superseded, so moving is safe.
struct LossJudge {
  static let againNanoseconds: UInt64 = 1_000_000_000
  static let patienceMilliseconds: Int32 = 500

  /// Asks the process at an address whether it is there. Waits for at most the time given.
  typealias Probe = (SocketAddress, _ milliseconds: Int32) -> Bool

  private let probe: Probe
  /// Incarnations that answered, and when.
  private var answered: [String: UInt64] = [:]

  init(probe: @escaping Probe = LossJudge.handshake) { self.probe = probe }

  /// Looks after those that were reported lost, and returns the incarnations that answered.
  mutating func judge(_ state: ClusterState, now: UInt64 = BootClock.nanoseconds()) -> Set<String> {
    let reports = state.lossReports
    if reports.isEmpty && answered.isEmpty { return [] }
    answered = answered.filter { reports.contains($0.key) }
    for node in state.nodes.map(\.object) where reports.contains(node.incarnation) {
      if let last = answered[node.incarnation], now < last + Self.againNanoseconds { continue }
      guard let address = node.peerAddress, probe(address, Self.patienceMilliseconds) else {
        answered[node.incarnation] = nil
        continue
      }
      answered[node.incarnation] = BootClock.nanoseconds()
    }
    return Set(answered.keys)
  }

  /// How long until a node that answered is to be asked again; nil while there is none.
  var nextLookNanoseconds: UInt64? { answered.isEmpty ? nil : Self.againNanoseconds }

  /// Opens a connection as an NVMe/TCP host does, and waits for the answer: a kernel whose process hangs would accept it too.
  static func handshake(_ address: SocketAddress, milliseconds: Int32) -> Bool {
    let deadline = BootClock.nanoseconds() + UInt64(milliseconds) * 1_000_000
    var left: Int32 {
      let now = BootClock.nanoseconds()
      return now >= deadline ? 0 : Int32((deadline - now) / 1_000_000) + 1
    }
    guard let descriptor = try? Socket.connect(to: address) else { return false }
    defer { close(descriptor) }
    func isReady(_ events: Int32) -> Bool {
      var request = pollfd(fd: descriptor, events: Int16(events), revents: 0)
      return unsafe poll(&request, 1, left) == 1
    }
    guard isReady(POLLOUT) else { return false }
    var bytes = [UInt8](repeating: 0, count: InitializeConnectionRequest.byteCount)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    InitializeConnectionRequest(headerDigest: false, dataDigest: false).encode(into: &raw)
    guard unsafe send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count, isReady(POLLIN) else { return false }
    var answer: UInt8 = 0
    // The type of its first PDU: ICResp (NVMe/TCP transport 1.0, 3.6.2.3).
    return unsafe recv(descriptor, &answer, 1, 0) == 1 && answer == 0x01
  }
}
