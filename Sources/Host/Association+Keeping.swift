import NVMe
import Reactor

/// What a live association does besides I/O: keep-alive, events, and its orderly shutdown.
extension Association {
  // MARK: Keep-alive

  func scheduleKeepAlive() { schedule(.keepAlive, afterNanoseconds: UInt64(options.keepAliveMilliseconds) * 500_000) }

  /// Sends a Keep Alive; one that is not answered within the keep-alive time ends the association.
  func keepAlive() {
    scheduleKeepAlive()
    if isKeepAliveOutstanding { return }
    isKeepAliveOutstanding = true
    perform(
      "Keep Alive", .keepAlive(commandIdentifier: 0),
      timeoutMilliseconds: min(options.keepAliveMilliseconds, options.adminTimeoutMilliseconds)
    ) { [self] _, outcome in
      isKeepAliveOutstanding = false
      guard phase == .live, let outcome, !outcome.status.isSuccess else { return }
      end(.refused(command: "Keep Alive", status: outcome.status))
    }
  }

  /// Asks out of turn whether the controller is there. Ends the association if it does not say so in time.
  func probe(timeoutMilliseconds: UInt32) {
    guard phase == .live, !isProbed else { return }
    isProbed = true
    perform("Keep Alive", .keepAlive(commandIdentifier: 0), timeoutMilliseconds: timeoutMilliseconds) { [self] _, _ in isProbed = false }
  }

  // MARK: Events

  /// Parks an Asynchronous Event Request with the controller. There is one at a time, and the next goes out only when what the
  /// event was about has been read, so a controller cannot make us do more than one thing at a time.
  func requestEvents() {
    perform("Asynchronous Event Request", .asynchronousEventRequest(commandIdentifier: 0), isUnlimited: true) { [self] _, outcome in
      // Without events the association still serves.
      guard phase == .live, let outcome, outcome.status.isSuccess else { return }
      handle(AsynchronousEvent(rawValue: outcome.dword0))
    }
  }

  private func handle(_ event: AsynchronousEvent) {
    if event == .namespaceAttributeChanged {
      // Reading the log is what lets the next such event come.
      readLog(.changedNamespaces, byteCount: NamespaceList.byteCount) { [self] _ in identifyAgain() }
    } else if event == .anaChange {
      readLog(.asymmetricAccess, byteCount: accessLogBytes) { [self] command in
        if let command, let state = accessState(in: command) { owner.accessStateChanged(state) }
        requestEvents()
      }
    } else if let page = LogPage(rawValue: event.logPage), event.logPage != 0 {
      readLog(page, byteCount: 512) { [self] _ in requestEvents() }
    } else {
      requestEvents()
    }
  }

  private func readLog(_ page: LogPage, byteCount: Int, next: @escaping (ControlCommand?) -> Void) {
    let entry = SubmissionEntry.getLogPage(
      commandIdentifier: 0, identifier: page.rawValue, byteCount: UInt32(byteCount), namespaceIdentifier: NamespaceIdentifier.broadcast)
    perform("Get Log Page \(page)", entry, byteCount: byteCount) { [self] command, outcome in
      guard phase == .live, let outcome else { return }
      next(outcome.status.isSuccess ? command : nil)
    }
  }

  private func identifyAgain() {
    let entry = SubmissionEntry.identify(
      commandIdentifier: 0, structure: IdentifyStructure.namespace.rawValue, namespaceIdentifier: facts.namespaceIdentifier)
    perform("Identify Namespace", entry, byteCount: IdentifyStructure.byteCount) { [self] command, outcome in
      guard phase == .live, let outcome else { return }
      if outcome.status.isSuccess, let namespace = command.decode({ try IdentifyNamespace(decoding: $0) }) {
        owner.namespaceChanged(namespace)
      }
      requestEvents()
    }
  }

  // MARK: ANA

  /// Bytes enough for the whole ANA log, as far as Identify Controller can be believed.
  var accessLogBytes: Int {
    let groups = UInt64(min(facts.controller.anaGroupCount, 1024)) * UInt64(ANAGroup.headByteCount)
    let namespaces = UInt64(min(max(facts.controller.namespaceCount, facts.controller.maximumAllowedNamespaces), 4096)) * 4
    return Int(min(UInt64(ANALog.headByteCount) + groups + namespaces, facts.maximumTransferBytes))
  }

  /// The state of our namespace's group.
  func accessState(in command: ControlCommand) -> ANAState? {
    guard let log = command.decode({ try ANALog(decoding: $0) }) else { return nil }
    let identifier = facts.namespaceIdentifier
    return log.groups.first { $0.namespaces.contains(identifier) }?.state
  }

  // MARK: Shutdown

  /// Tells the controller, waits a bounded time for its consent, and closes.
  func shutDown(_ completion: @escaping () -> Void) {
    shutdownCompletion = completion
    guard phase == .live else {
      end(.closed)
      return
    }
    owner.namespace?.stop()
    var configuration = ControllerConfiguration(rawValue: 0)
    configuration.isEnabled = true
    configuration.submissionEntrySizeShift = 6
    configuration.completionEntrySizeShift = 4
    configuration.pageSizeShift = facts.capabilities.minimumPageSizeShift
    configuration.shutdown = .normal
    readyDeadline = Clock.monotonicNanoseconds() &+ 2_000_000_000
    let entry = SubmissionEntry.propertySet(
      commandIdentifier: 0, offset: ControllerProperty.configuration.rawValue, value: UInt64(configuration.rawValue))
    perform("Property Set CC.SHN", entry, timeoutMilliseconds: 2_000) { [self] _, outcome in
      guard phase == .live else { return }
      guard let outcome, outcome.status.isSuccess else {
        end(.closed)
        return
      }
      readShutdownStatus()
    }
  }

  func readShutdownStatus() {
    let entry = SubmissionEntry.propertyGet(commandIdentifier: 0, offset: ControllerProperty.status.rawValue, isEightBytes: false)
    perform("Property Get CSTS", entry, timeoutMilliseconds: 2_000) { [self] _, outcome in
      guard phase == .live else { return }
      let status = ControllerStatus(rawValue: outcome.map { UInt32(truncatingIfNeeded: $0.result) } ?? 0)
      if outcome?.status.isSuccess != true || status.shutdown == .complete || Clock.monotonicNanoseconds() >= readyDeadline {
        end(.closed)
      } else {
        schedule(.shutdownPoll, afterNanoseconds: 20_000_000)
      }
    }
  }
}
