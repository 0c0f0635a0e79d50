import NVMe

/// One controller: the association of a host with a subsystem, as an admin queue's Connect made it. It decides and remembers;
/// connections do the I/O and tell it what happened.
///
/// Belongs to its subsystem's reactor. Times are nanoseconds of one monotonic clock.
final class Controller {
  let subsystem: Subsystem
  /// CNTLID.
  let identifier: UInt16
  let hostName: QualifiedName
  let hostIdentifier: Identifier128
  /// The listening address the host came through, as the caller numbers them.
  let portal: UInt16
  /// Whether the host may only read.
  let isReadOnly: Bool
  let began: UInt64

  /// CC.
  var configuration = ControllerConfiguration(rawValue: 0)
  /// CSTS.
  var status = ControllerStatus(rawValue: 0)
  /// Replaced, expired or shut out: its commands are being settled, and it takes no new connections.
  private(set) var isEnded = false
  /// What a property write began and the connections are still doing.
  var effectInProgress: ControllerEffect?

  var keepAlive: KeepAliveTimer
  var features = FeatureValues()
  var events = EventQueue()
  /// Namespaces that changed since the host read their log, ascending.
  var changedNamespaces: [UInt32] = []
  var errors = ErrorLog()
  var health = HealthCounters()
  /// The I/O queues that are connected, ascending.
  private(set) var ioQueues: [UInt16] = []

  init(
    subsystem: Subsystem, identifier: UInt16, hostName: QualifiedName, hostIdentifier: Identifier128, portal: UInt16,
    isReadOnly: Bool = false, keepAliveMilliseconds: UInt32, now: UInt64
  ) {
    self.isReadOnly = isReadOnly
    self.subsystem = subsystem
    self.identifier = identifier
    self.hostName = hostName
    self.hostIdentifier = hostIdentifier
    self.portal = portal
    began = now
    keepAlive = KeepAliveTimer(timeoutMilliseconds: keepAliveMilliseconds, isDiscovery: subsystem.isDiscovery, now: now)
  }

  var description: SubsystemDescription { subsystem.description }
  var isDiscovery: Bool { subsystem.isDiscovery }

  /// Whether I/O queues may connect and their commands run.
  var acceptsIO: Bool { status.isReady && effectInProgress == nil && status.shutdown == .none && !isDiscovery }

  /// No queue joins it from now on, however late its Connect arrives (R12).
  func end() { isEnded = true }

  /// Marks an I/O queue as connected. False when it already is.
  func ioQueueOpened(_ queueIdentifier: UInt16) -> Bool {
    let index = ioQueues.firstIndex { $0 >= queueIdentifier } ?? ioQueues.endIndex
    if index < ioQueues.endIndex && ioQueues[index] == queueIdentifier { return false }
    ioQueues.insert(queueIdentifier, at: index)
    return true
  }

  func ioQueueClosed(_ queueIdentifier: UInt16) { ioQueues.removeAll { $0 == queueIdentifier } }

  /// To be called with every command and completion of any queue of this controller.
  @inline(__always)
  func touch(_ now: UInt64) { keepAlive.touch(now) }

  /// Whether the host has been silent for so long that its controller is to be ended.
  func isExpired(_ now: UInt64) -> Bool { keepAlive.isExpired(now) }

  /// Puts a failed command of any queue into the error log. `lba` is the first block in error.
  func recordError(queueIdentifier: UInt16, entry: SubmissionEntry, status: Status, lba: UInt64 = 0) {
    var error = ErrorLogEntry()
    error.submissionQueueIdentifier = queueIdentifier
    error.commandIdentifier = entry.commandIdentifier
    error.status = status
    error.parameterLocation = 0xFFFF
    error.lba = lba
    error.opcode = entry.opcode
    error.namespaceIdentifier = entry.opcode == AdminOpcode.fabrics.rawValue ? 0 : entry.namespaceIdentifier
    errors.record(error)
  }
}

/// Asynchronous events (NVMe Base 2.0, 5.2).
extension Controller {
  func namespaceAttributesChanged(_ namespaceIdentifier: UInt32) {
    let index = changedNamespaces.firstIndex { $0 >= namespaceIdentifier } ?? changedNamespaces.endIndex
    if index == changedNamespaces.endIndex || changedNamespaces[index] != namespaceIdentifier {
      changedNamespaces.insert(namespaceIdentifier, at: index)
    }
    events.raise(.namespaceAttribute)
  }

  func anaChanged() { events.raise(.anaChange) }

  func discoveryLogChanged() { events.raise(.discoveryLog) }

  /// The next event to send, with the request that it completes: to be asked again until nil, after every admin command and every
  /// change of the subsystem. `result` is dword 0 of the completion.
  func takeEvent() -> (commandIdentifier: UInt16, result: UInt64)? {
    guard status.isReady, effectInProgress == nil, let taken = events.take() else { return nil }
    return (taken.commandIdentifier, UInt64(taken.event.rawValue))
  }
}
