import NVMe
import Reactor
import Transport

/// From the first socket to the last queue, one command after the other.
extension Association {
  /// Starts; the outcome comes to the owner later, never from inside this call.
  func begin() {
    reactor.register(self)
    schedule(.deadline, afterNanoseconds: deadline &- Clock.monotonicNanoseconds())
    do {
      admin = try openQueue(0, depth: Self.adminDepth, inCapsuleBytes: Self.adminInCapsuleBytes)
    } catch {
      reactor.postpone(handlerID, token: Timer.failNow.rawValue, result: error.code)
    }
  }

  /// A queue's ICReq was answered.
  func queueInitialized(_ queue: HostQueue) {
    guard phase == .connecting else { return }
    connect(queue)
  }

  /// Sends one of the commands that establish the association. A failure ends it; success goes on with `next`.
  private func step(
    _ name: String, _ entry: SubmissionEntry, on queue: HostQueue? = nil, byteCount: Int = 0,
    fill: ((inout MutableRawSpan) -> Void)? = nil, next: @escaping (ControlCommand, CompletionEntry) -> Void
  ) {
    guard phase == .connecting else { return }
    step = name
    perform(name, entry, on: queue, byteCount: byteCount, fill: fill) { [self] command, outcome in
      guard phase == .connecting, let outcome else { return }
      guard outcome.status.isSuccess else {
        end(.refused(command: name, status: outcome.status))
        return
      }
      next(command, outcome)
    }
  }

  /// As `step`, for what a controller need not have: `next` gets nil when it answered with an error.
  private func optionalStep(
    _ name: String, _ entry: SubmissionEntry, byteCount: Int, next: @escaping (ControlCommand?) -> Void
  ) {
    guard phase == .connecting else { return }
    step = name
    perform(name, entry, byteCount: byteCount) { [self] command, outcome in
      guard phase == .connecting, let outcome else { return }
      next(outcome.status.isSuccess ? command : nil)
    }
  }

  private func malformed(_ what: String) { end(.protocolViolation("\(what) cannot be read")) }

  // MARK: Connect

  private func connect(_ queue: HostQueue) {
    let isAdmin = queue.identifier == 0
    let entry = SubmissionEntry.connect(
      commandIdentifier: 0, queueIdentifier: queue.identifier, queueSizeZeroBased: UInt16(queue.slots.capacity),
      keepAliveMilliseconds: isAdmin ? options.keepAliveMilliseconds : 0)
    let data = ConnectData(
      hostIdentifier: owner.host.identifier,
      controllerIdentifier: isAdmin ? ConnectData.dynamicController : facts.controllerIdentifier, subsystemName: owner.subsystem,
      hostName: owner.host.name)
    step("Connect", entry, on: queue, byteCount: ConnectData.byteCount, fill: { data.encode(into: &$0) }) { [self] _, outcome in
      if ConnectResult.requiresAuthentication(outcome.result) {
        end(.unsupported("the controller demands authentication, which this host does not have"))
        return
      }
      if isAdmin {
        facts.controllerIdentifier = ConnectResult.controllerIdentifier(outcome.result)
        readCapabilities()
      } else {
        connectedQueues += 1
        if connectedQueues == ioQueues.count { becomeLive() }
      }
    }
  }

  // MARK: Enabling

  private func get(_ property: ControllerProperty, _ name: String, next: @escaping (UInt64) -> Void) {
    let entry = SubmissionEntry.propertyGet(
      commandIdentifier: 0, offset: property.rawValue, isEightBytes: property.byteCount == 8)
    step("Property Get \(name)", entry) { _, outcome in next(outcome.result) }
  }

  private func readCapabilities() {
    get(.capabilities, "CAP") { [self] value in
      facts.capabilities = ControllerCapabilities(rawValue: value)
      let commandSets = facts.capabilities.commandSets
      guard commandSets & 0x41 != 0 || owner.kind == .discovery else {
        end(.unsupported("the controller has no NVM command set"))
        return
      }
      enable(commandSet: commandSets & 0x01 != 0 || commandSets & 0x40 == 0 ? 0 : 6)
    }
  }

  private func enable(commandSet: UInt8) {
    // CAP.TO of 0 is forbidden; such a controller gets the smallest unit.
    let wait = UInt64(max(facts.capabilities.timeoutHalfSeconds, 1)) * 500_000_000
    deadline &+= wait
    readyDeadline = Clock.monotonicNanoseconds() &+ wait
    var configuration = ControllerConfiguration(rawValue: 0)
    configuration.isEnabled = true
    configuration.commandSet = commandSet
    configuration.pageSizeShift = facts.capabilities.minimumPageSizeShift
    configuration.submissionEntrySizeShift = 6
    configuration.completionEntrySizeShift = 4
    let entry = SubmissionEntry.propertySet(
      commandIdentifier: 0, offset: ControllerProperty.configuration.rawValue, value: UInt64(configuration.rawValue))
    step("Property Set CC", entry) { [self] _, _ in readStatus() }
  }

  func readStatus() {
    get(.status, "CSTS") { [self] value in
      let status = ControllerStatus(rawValue: UInt32(truncatingIfNeeded: value))
      if status.isFatal {
        end(.unsupported("the controller reports a fatal error (CSTS.CFS); reset it"))
      } else if status.isReady {
        identifyController()
      } else if Clock.monotonicNanoseconds() >= readyDeadline {
        end(.timeout("CSTS.RDY"))
      } else {
        schedule(.readyPoll, afterNanoseconds: readyPollNanoseconds)
        readyPollNanoseconds = min(readyPollNanoseconds * 2, 100_000_000)
      }
    }
  }

  // MARK: Identify

  private func identify(_ structure: IdentifyStructure, namespace: UInt32 = 0) -> SubmissionEntry {
    .identify(commandIdentifier: 0, structure: structure.rawValue, namespaceIdentifier: namespace)
  }

  private func identifyController() {
    step("Identify Controller", identify(.controller), byteCount: IdentifyStructure.byteCount) { [self] command, _ in
      guard let controller = command.decode({ try IdentifyController(decoding: $0) }) else {
        malformed("Identify Controller")
        return
      }
      facts.controller = controller
      guard controller.controllerIdentifier == facts.controllerIdentifier else {
        end(.protocolViolation("Identify Controller names another controller than Connect"))
        return
      }
      if owner.kind == .discovery {
        becomeLive()
        return
      }
      guard controller.controllerType != ControllerType.discovery.rawValue else {
        end(.unsupported("this is a discovery controller, which has no namespaces"))
        return
      }
      guard !controller.sglSupport.isDisjoint(with: [.supported, .supportedDwordAligned]) else {
        end(.protocolViolation("Identify Controller announces no SGLs, without which no data can be moved"))
        return
      }
      guard controller.ioCommandCapsuleSize16Bytes >= 4, controller.ioResponseCapsuleSize16Bytes >= 1,
        controller.inCapsuleDataOffset16Bytes == 0
      else {
        end(.protocolViolation("Identify Controller has capsule sizes that NVMe/TCP does not allow"))
        return
      }
      optionalStep(
        "Identify Controller for the NVM command set", identify(.controllerForCommandSet), byteCount: IdentifyStructure.byteCount
      ) { [self] command in
        facts.commandSet = command.flatMap { $0.decode { try IdentifyControllerNVM(decoding: $0) } }
        findNamespace()
      }
    }
  }

  private func findNamespace() {
    if let identifier = owner.namespace?.namespaceIdentifier ?? options.namespaceIdentifier {
      identifyNamespace(identifier)
      return
    }
    step("Identify active namespaces", identify(.activeNamespaces), byteCount: NamespaceList.byteCount) { [self] command, _ in
      guard let list = command.decode({ try NamespaceList.decode($0) }) else {
        malformed("the list of active namespaces")
        return
      }
      guard let first = list.first else {
        end(.namespaceMissing(nil))
        return
      }
      identifyNamespace(first)
    }
  }

  private func identifyNamespace(_ identifier: UInt32) {
    facts.namespaceIdentifier = identifier
    step("Identify Namespace", identify(.namespace, namespace: identifier), byteCount: IdentifyStructure.byteCount) {
      [self] command, _ in
      guard let namespace = command.decode({ try IdentifyNamespace(decoding: $0) }) else {
        malformed("Identify Namespace")
        return
      }
      // An inactive namespace is all zeros.
      guard namespace.sizeBlocks > 0 else {
        end(.namespaceMissing(identifier))
        return
      }
      facts.namespace = namespace
      optionalStep(
        "Identify namespace descriptors", identify(.namespaceDescriptors, namespace: identifier), byteCount: IdentifyStructure.byteCount
      ) { [self] command in
        facts.uuid = command.flatMap { $0.decode { try NamespaceDescriptors(decoding: $0) } }?.uuid
        readAccessState { [self] in setQueueCount() }
      }
    }
  }

  private func readAccessState(next: @escaping () -> Void) {
    guard facts.controller.multipathCapabilities.contains(.asymmetricAccess) else {
      next()
      return
    }
    let byteCount = accessLogBytes
    let entry = SubmissionEntry.getLogPage(
      commandIdentifier: 0, identifier: LogPage.asymmetricAccess.rawValue, byteCount: UInt32(byteCount))
    optionalStep("Get Log Page ANA", entry, byteCount: byteCount) { [self] command in
      facts.anaState = command.flatMap { accessState(in: $0) }
      guard owner.isUsable(facts.anaState) else { return end(.inaccessible) }
      next()
    }
  }

  // MARK: I/O queues

  private func setQueueCount() {
    let entry = SubmissionEntry.setFeatures(
      commandIdentifier: 0, identifier: FeatureIdentifier.numberOfQueues.rawValue,
      dword11: QueueCounts(submission: options.ioQueues, completion: options.ioQueues).rawValue)
    step("Set Features number of queues", entry) { [self] _, outcome in
      let granted = QueueCounts(rawValue: outcome.dword0)
      configureEvents { [self] in connectIOQueues(min(options.ioQueues, granted.submission, granted.completion)) }
    }
  }

  private func configureEvents(next: @escaping () -> Void) {
    let wanted = facts.controller.asynchronousEvents.intersection([.namespaceAttribute, .anaChange])
    guard !wanted.isEmpty else {
      next()
      return
    }
    let entry = SubmissionEntry.setFeatures(
      commandIdentifier: 0, identifier: FeatureIdentifier.asynchronousEventConfiguration.rawValue, dword11: wanted.rawValue)
    step("Set Features asynchronous events", entry) { _, _ in next() }
  }

  private func connectIOQueues(_ count: Int) {
    do throws(HostError) {
      try owner.adoptNamespace(facts)
    } catch {
      end(error.reason)
      return
    }
    // A queue of n entries takes n - 1 commands; SQSIZE is n - 1, and so is MQES at most.
    var depth = min(options.queueDepth, max(Int(facts.capabilities.maximumQueueEntriesZeroBased), 1))
    let most = Int(facts.controller.maximumOutstandingCommands)
    if most > 0 { depth = min(depth, most) }
    let capsule = min(UInt64(facts.controller.ioCommandCapsuleSize16Bytes) * 16 - 64, BlockDevice.maximumTransferBytes)
    step = "connect the I/O queues"
    do {
      for number in 1...count {
        ioQueues.append(try openQueue(UInt16(number), depth: depth, inCapsuleBytes: UInt32(capsule)))
      }
    } catch {
      end(.connectionFailed(code: error.code))
    }
  }

  private func becomeLive() {
    phase = .live
    if options.keepAliveMilliseconds > 0 && facts.controller.keepAliveGranularity > 0 { scheduleKeepAlive() }
    if owner.kind != .discovery { requestEvents() }
    owner.associationEstablished(self)
  }
}
