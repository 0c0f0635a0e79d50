import NVMe
import Reactor

/// Vendor specific commands of the admin queue.
extension RemoteController {
  /// Commands of this kind that may be outstanding at a time: the others of the admin queue keep slots for themselves.
  public static let maximumVendorCommands = Association.adminDepth / 2
  /// Data to the controller are never more: they travel in the command's capsule.
  public static let maximumVendorDataBytes = Int(Association.adminInCapsuleBytes)

  /// What became of a vendor specific command.
  public enum VendorOutcome: Equatable, Sendable {
    /// Dwords 0 and 1 of the completion, and the data, if some were asked for.
    case success(result: UInt64, data: [UInt8])
    case refused(Status)
    /// There is no connection, or it ended first: whether the command was executed is not known.
    case lost
  }

  /// Sends a command with `data` in its capsule, or one that asks for `replyBytes`; bits 1:0 of `opcode` have to say the same.
  ///
  /// `completion` comes once, maybe from inside this call when there is no connection. At most `maximumVendorCommands` may be outstanding;
  /// whoever sends more finds some `lost`. Without `timeoutMilliseconds` the command may take as long as it does, and only keep-alive
  /// notices that nobody is there any more.
  public func vendorCommand(
    opcode: UInt8, dword10: UInt32 = 0, dword11: UInt32 = 0, dword12: UInt32 = 0, data: [UInt8] = [], replyBytes: Int = 0,
    timeoutMilliseconds: UInt32? = nil, completion: @escaping (VendorOutcome) -> Void
  ) {
    precondition(opcode >= 0xC0 && opcode & 0x3 == (data.isEmpty ? (replyBytes > 0 ? 2 : 0) : 1), "an opcode that says something else")
    precondition(data.count <= Self.maximumVendorDataBytes && (data.isEmpty || replyBytes == 0))
    guard state == .connected, let association, association.phase == .live else { return completion(.lost) }
    let entry = SubmissionEntry(opcode: opcode, commandIdentifier: 0, dword10: dword10, dword11: dword11, dword12: dword12)
    let fill: ((inout MutableRawSpan) -> Void)? =
      data.isEmpty
      ? nil
      : { span in for (index, byte) in data.enumerated() { span.storeLittleEndian(byte, at: index) } }
    association.perform(
      "vendor command \(opcode)", entry, byteCount: data.isEmpty ? replyBytes : data.count, fill: fill,
      timeoutMilliseconds: timeoutMilliseconds, isUnlimited: timeoutMilliseconds == nil
    ) { command, outcome in
      guard let outcome else { return completion(.lost) }
      guard outcome.status.isSuccess else { return completion(.refused(outcome.status)) }
      let reply = replyBytes > 0 ? command.bytes : []
      completion(.success(result: outcome.result, data: reply))
    }
  }
}

extension ControlCommand {
  /// A copy of the data.
  var bytes: [UInt8] {
    guard let memory = unsafe memory else { return [] }
    return unsafe [UInt8](UnsafeRawBufferPointer(start: memory, count: byteCount))
  }
}
