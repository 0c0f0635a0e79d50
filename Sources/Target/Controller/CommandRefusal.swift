import NVMe

/// Why a command is answered with an error, as its completion says it.
struct CommandRefusal: Error, Equatable {
  var status: Status
  /// Dwords 0 and 1 of the completion.
  var result: UInt64 = 0

  init(_ status: Status, result: UInt64 = 0) {
    self.status = status
    self.result = result
  }

  /// An error that the same command meets again wherever it is sent.
  static func permanent(_ status: Status) -> CommandRefusal { CommandRefusal(status.withDoNotRetry) }

  static var invalidField: CommandRefusal { .permanent(.invalidField) }
}

/// Refusals of Connect (NVMe Base 2.0, 6.3). A host that is told not to retry gives a path up for good: so it is told only where
/// trying again could not help, and not where a subsystem may be about to come or a controller just went.
extension CommandRefusal {
  /// A field of the command itself, `offset` bytes into it.
  static func invalidConnectCommand(offset: UInt16) -> CommandRefusal {
    CommandRefusal(Status.connectInvalidParameters.withDoNotRetry, result: ConnectResult.invalidParameter(offset: offset, isInData: false))
  }

  /// A field of the command's data, `offset` bytes into it.
  static func invalidConnectData(offset: UInt16, doNotRetry: Bool) -> CommandRefusal {
    var status = Status.connectInvalidParameters
    status.doNotRetry = doNotRetry
    return CommandRefusal(status, result: ConnectResult.invalidParameter(offset: offset, isInData: true))
  }

  /// No subsystem of that name is here, perhaps not yet.
  static var unknownSubsystem: CommandRefusal { .invalidConnectData(offset: 256, doNotRetry: false) }

  /// The admin controller an I/O queue names is not here, or not any longer.
  static var unknownController: CommandRefusal { .invalidConnectData(offset: 16, doNotRetry: false) }

  static var hostNotAllowed: CommandRefusal { .permanent(.connectInvalidHost) }
  static var controllerBusy: CommandRefusal { CommandRefusal(.connectControllerBusy) }
}
