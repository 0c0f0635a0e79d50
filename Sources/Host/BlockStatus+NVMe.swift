import NVMe
import Reactor

extension BlockStatus {
  /// What a completion's status means for the request that the command was part of.
  ///
  /// A status that says nothing about the cause is a fault in the command's direction.
  init(_ status: Status, of operation: BlockOperation) {
    if status.isSuccess {
      self = .success
      return
    }
    let fault: BlockStatus = operation == .read ? .readFault : .writeFault
    switch status.type {
    case 0: self = Self.generic(status.code) ?? fault
    case 1: self = Self.commandSpecific(status.code) ?? fault
    case 2: self = status.matches(.accessDenied) ? .refused : fault
    // Another path may serve; a command the host side itself aborted had no effect.
    case 3: self = status.matches(.abortedByHost) ? .aborted : .inaccessible
    default: self = fault
    }
  }

  private static func generic(_ code: UInt8) -> BlockStatus? {
    switch code {
    case Status.invalidOpcode.code, Status.invalidField.code: .unsupported
    case Status.abortRequested.code, Status.abortedQueueDeletion.code: .aborted
    case Status.invalidNamespaceOrFormat.code, Status.namespaceNotReady.code: .inaccessible
    case Status.operationDenied.code, Status.namespaceIsWriteProtected.code, Status.reservationConflict.code: .refused
    case Status.prohibitedByLockdown.code: .refused
    // A data digest error is one too: the command was not executed, and the same bytes may arrive whole next time.
    case Status.commandInterrupted.code, Status.transientTransportError.code: .busy
    case Status.lbaOutOfRange.code: .outOfRange
    case Status.capacityExceeded.code: .capacityExceeded
    default: nil
    }
  }

  private static func commandSpecific(_ code: UInt8) -> BlockStatus? {
    switch code {
    case Status.writeToReadOnlyRange.code: .refused
    case Status.conflictingAttributes.code, Status.commandSizeLimitExceeded.code: .unsupported
    default: nil
    }
  }
}
