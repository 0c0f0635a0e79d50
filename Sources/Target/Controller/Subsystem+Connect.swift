import NVMe

/// The answer to an accepted Connect of an admin queue.
struct AdminConnection {
  let controller: Controller
  let queueEntryCount: Int
  let isFlowControlDisabled: Bool
  /// Older controllers of the same host through the same portal, which this one replaces. The new controller becomes ready
  /// (`effectPerformed(.enable)`) only after these have ended, their commands finished or discarded, and were removed.
  let replaced: [Controller]

  /// Dword 0 of the completion.
  var result: UInt64 { ConnectResult.success(controllerIdentifier: controller.identifier) }
}

/// The answer to an accepted Connect of an I/O queue.
struct IOConnection {
  let controller: Controller
  /// 1 to the subsystem's maximum.
  let queueIdentifier: UInt16
  let queueEntryCount: Int
  let isFlowControlDisabled: Bool

  /// Dword 0 of the completion.
  var result: UInt64 { ConnectResult.success(controllerIdentifier: controller.identifier) }
}

/// Connect (NVMe Base 2.0, 6.3). The caller has found the subsystem by the name in the data, or answers
/// `CommandRefusal.unknownSubsystem`.
extension Subsystem {
  /// Accepts an admin queue: makes a controller.
  func connectAdmin(_ request: ConnectRequest, portal: UInt16, now: UInt64) throws(CommandRefusal) -> AdminConnection {
    precondition(request.queueIdentifier == 0)
    try checkCommon(request)
    if request.data.controllerIdentifier != ConnectData.dynamicController {
      throw .invalidConnectData(offset: 16, doNotRetry: true)
    }
    let replaced = description.replacesOlderControllers ? olderControllers(of: request.data, portal: portal) : []
    guard let controller = makeController(request, portal: portal, now: now) else { throw .controllerBusy }
    return AdminConnection(
      controller: controller, queueEntryCount: request.queueEntryCount, isFlowControlDisabled: request.disablesFlowControl,
      replaced: replaced)
  }

  /// Accepts an I/O queue of a controller that is ready. The queue counts as connected until `ioQueueClosed`.
  func connectIO(_ request: ConnectRequest) throws(CommandRefusal) -> IOConnection {
    precondition(request.queueIdentifier != 0)
    try checkCommon(request)
    if isDiscovery || Int(request.queueIdentifier) > description.maximumIOQueues { throw .invalidConnectCommand(offset: 42) }
    guard let controller = controller(request.data.controllerIdentifier), !controller.isEnded else { throw .unknownController }
    if controller.hostName != request.data.hostName { throw .invalidConnectData(offset: 512, doNotRetry: true) }
    if controller.hostIdentifier != request.data.hostIdentifier { throw .invalidConnectData(offset: 0, doNotRetry: true) }
    if !controller.acceptsIO { throw CommandRefusal(.commandSequenceError) }
    if !controller.ioQueueOpened(request.queueIdentifier) { throw .permanent(.commandSequenceError) }
    return IOConnection(
      controller: controller, queueIdentifier: request.queueIdentifier, queueEntryCount: request.queueEntryCount,
      isFlowControlDisabled: request.disablesFlowControl)
  }

  private func checkCommon(_ request: ConnectRequest) throws(CommandRefusal) {
    precondition(request.data.subsystemName == name)
    if request.queueEntryCount > description.maximumQueueEntries { throw .invalidConnectCommand(offset: 44) }
    if !allowedHosts.allows(request.data.hostName) { throw .hostNotAllowed }
  }

  private func olderControllers(of data: ConnectData, portal: UInt16) -> [Controller] {
    controllers.filter { $0.hostName == data.hostName && $0.hostIdentifier == data.hostIdentifier && $0.portal == portal }
  }
}
