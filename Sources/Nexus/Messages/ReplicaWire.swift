/// The vendor specific admin commands that carry questions and replies on a replica's subsystem (`PROTOCOL.md`, "Wire").
public enum ReplicaWire {
  /// Host to controller: a question, in the capsule. Completed when there is a reply.
  public static let askOpcode: UInt8 = 0xC1
  /// Controller to host: a piece of a reply. Dword 10 the ticket, dword 11 the offset in bytes; the data pointer says how much.
  public static let fetchOpcode: UInt8 = 0xC2
  public static let maximumPieceBytes = 64 << 10

  /// What the completion of a question says.
  public enum Completion: Equatable, Sendable {
    /// The reply is `ReplicaAnswer.done`.
    case done
    /// The reply is a lease.
    case leased(milliseconds: UInt32)
    /// The reply is a message, to be fetched.
    case message(byteCount: UInt32, ticket: UInt32)

    /// Dword 0: bytes to fetch, or 0. Dword 1: the ticket; with nothing to fetch, the lease in milliseconds, or 0 for done.
    public var result: UInt64 {
      switch self {
      case .done: 0
      case .leased(let milliseconds): UInt64(milliseconds) << 32
      case .message(let byteCount, let ticket): UInt64(byteCount) | UInt64(ticket) << 32
      }
    }

    public init(result: UInt64) {
      let (low, high) = (UInt32(truncatingIfNeeded: result), UInt32(truncatingIfNeeded: result >> 32))
      self = low > 0 ? .message(byteCount: low, ticket: high) : high > 0 ? .leased(milliseconds: high) : .done
    }
  }
}
