import NVMe

/// What becomes of a command of the admin queue.
enum AdminOutcome: Equatable {
  /// To be answered now.
  case complete(AdminCompletion)
  /// An Asynchronous Event Request, answered when there is an event (`Controller.takeEvent`) or an abort.
  case parked
  /// Abort of a command of an I/O queue that is connected. The answer is success with `AdminCompletion.notAborted` as result, or 0
  /// when the command was still waiting and has been answered with Command Abort Requested.
  case abort(queueIdentifier: UInt16, commandIdentifier: UInt16)
}

/// The answer to a command of the admin queue.
struct AdminCompletion: Equatable {
  /// Dword 0 of Abort: the command was not aborted.
  static let notAborted: UInt64 = 1

  var status: Status = .success
  /// Dwords 0 and 1.
  var result: UInt64 = 0
  /// Bytes of the reply that go to the host before the completion.
  var dataByteCount = 0
  /// What the connections now have to do; they answer the command without waiting for it.
  var effect: ControllerEffect?
  /// A parked request that this command ended: it is answered with Command Abort Requested.
  var abortedRequest: UInt16?
}
