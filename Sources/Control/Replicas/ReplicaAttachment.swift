import NVMe
import Nexus
import Reactor
import Target

/// A remote nexus's session with a replica, as the target sees it: one per controller. Its namespace is the session; its vendor
/// specific commands are questions, and pieces of their replies.
final class ReplicaAttachment: ControllerAttachment {
  /// Replies that were not fetched yet, at most.
  static let maximumReplies = 32
  static let maximumReplyMemoryBytes = 32 << 20

  private let session: ReplicaSession
  private var replies: [(ticket: UInt32, bytes: [UInt8])] = []
  private var nextTicket: UInt32 = 0

  init(gate: ReplicaGate) {
    session = gate.makeSession()
    super.init(device: session)
    // A higher claim ends the connections of older ones (R3).
    session.sessionEnded = { [weak self] _ in self?.endController?() }
  }

  override func controllerEnded() {
    replies = []
    session.close()
  }

  override func execute(_ entry: SubmissionEntry, data: [UInt8], done: @escaping (Outcome) -> Void) {
    switch entry.opcode {
    case ReplicaWire.askOpcode: ask(data, done)
    case ReplicaWire.fetchOpcode:
      done(fetch(ticket: entry.dword10, offset: Int(entry.dword11), byteCount: Int(entry.dataPointer.length)))
    default: done(.refused(Status.invalidOpcode.withDoNotRetry))
    }
  }

  private func ask(_ data: [UInt8], _ done: @escaping (Outcome) -> Void) {
    guard let question = try? ReplicaQuestion(decoding: data) else { return done(.refused(Status.invalidField.withDoNotRetry)) }
    guard replies.count < Self.maximumReplies else { return done(.refused(.commandInterrupted)) }
    session.ask(question) { [self] result in done(.result(completion(of: result).result)) }
  }

  private func completion(of result: Result<ReplicaAnswer, ReplicaRefusal>) -> ReplicaWire.Completion {
    switch result {
    case .success(.done): return .done
    case .success(.leased(let nanoseconds)):
      // Rounded down: the nexus must not rely on more.
      let milliseconds = UInt32(clamping: nanoseconds / 1_000_000)
      if milliseconds > 0 { return .leased(milliseconds: milliseconds) }
    default: break
    }
    var bytes = ReplicaReply(result).encoded()
    if replies.reduce(bytes.count, { $0 + $1.bytes.count }) > Self.maximumReplyMemoryBytes {
      bytes = ReplicaReply(.failure(.busy)).encoded()
    }
    nextTicket &+= 1
    if !session.isOver { replies.append((nextTicket, bytes)) }
    return .message(byteCount: UInt32(bytes.count), ticket: nextTicket)
  }

  /// A piece of a reply; the last one ends the reply.
  private func fetch(ticket: UInt32, offset: Int, byteCount: Int) -> Outcome {
    guard let index = replies.firstIndex(where: { $0.ticket == ticket }), byteCount <= replies[index].bytes.count,
      offset <= replies[index].bytes.count - byteCount
    else { return .refused(Status.invalidField.withDoNotRetry) }
    let piece = Array(replies[index].bytes[offset..<offset + byteCount])
    if offset + byteCount == replies[index].bytes.count { replies.remove(at: index) }
    return .data(piece)
  }
}
