import NVMe
import Reactor

/// A subsystem being served: its core, the device behind its namespace, and the connections of its controllers.
///
/// Lives on one reactor. A controller that ends closes its connections at once; it is forgotten only when the last command of
/// the last of them is settled, and until then no new controller of the same host becomes ready (R12).
final class ServedSubsystem {
  let core: Subsystem
  /// What serves the namespace; nil for discovery, and where each controller has something of its own.
  private(set) var device: BlockDevice?
  /// Makes what each controller has of its own.
  private let attach: ((ControllerAttachment.Host) -> ControllerAttachment)?
  /// What controllers have, until their last command is settled.
  private var attachments: [(controller: Controller, attachment: ControllerAttachment)] = []
  let usesReplicaArena: Bool
  /// What its hosts asked for.
  var traffic = Traffic()
  private(set) var connections: [Connection] = []
  /// Controllers whose connections were closed and whose commands are not all settled.
  private var ending: [Controller] = []
  /// Resets, shutdowns and enables that wait for commands to settle.
  private var effects: [(controller: Controller, effect: ControllerEffect)] = []
  /// Flushes that shutdowns wait for.
  private var flushes: [ShutdownFlush] = []
  /// Who waits for which controllers to be gone.
  private var waits: [(controllers: [Controller], body: () -> Void)] = []

  init(
    core: Subsystem, device: BlockDevice?, usesReplicaArena: Bool, attach: ((ControllerAttachment.Host) -> ControllerAttachment)? = nil
  ) {
    self.core = core
    self.device = device
    self.attach = attach
    self.usesReplicaArena = usesReplicaArena
  }

  /// Why commands cannot be served on this path now, if so.
  @inline(__always)
  var pathStatus: Status? {
    guard let namespace = core.namespace else { return .namespaceNotReady }
    switch namespace.anaState {
    case .optimized, .nonOptimized: return nil
    case .inaccessible: return .anaInaccessible
    case .persistentLoss: return .anaPersistentLoss
    case .change: return .anaTransition
    }
  }

  func add(_ connection: Connection) { connections.append(connection) }

  /// What the connections of a controller share; nil for its first one.
  func share(of controller: Controller) -> MemoryShare? { connections.first { $0.controller === controller }?.share }

  private func connections(of controller: Controller) -> [Connection] { connections.filter { $0.controller === controller } }

  /// Another device serves the namespace from now on, on the same connections (R19). What the one before has not begun never executes there;
  /// what runs goes on to its end.
  func setDevice(_ new: BlockDevice, _ namespace: NamespaceDescription) {
    precondition(attach == nil, "each controller has a device of its own")
    // First the state: what comes back at once is answered by it.
    core.setNamespace(namespace)
    for connection in connections { connection.moveToDevice(new) }
    device = new
    deliverEvents()
  }

  // MARK: Attachments

  func attachment(of controller: Controller) -> ControllerAttachment? {
    attachments.first { $0.controller === controller }?.attachment
  }

  /// What serves the namespace to a controller.
  func device(of controller: Controller) -> BlockDevice? { attachment(of: controller)?.device ?? device }

  /// A controller came: it gets what is its own.
  func attach(to controller: Controller) {
    guard let attach, attachment(of: controller) == nil else { return }
    let attachment = attach(ControllerAttachment.Host(name: controller.hostName, identifier: controller.hostIdentifier))
    attachments.append((controller, attachment))
    attachment.endController = { [weak self, weak controller] in
      guard let self, let controller else { return }
      end(controller)
    }
  }

  /// It keeps its attachment until its commands are settled, and nothing new comes to that.
  private func detach(_ controller: Controller) {
    guard let attachment = attachment(of: controller) else { return }
    attachment.endController = nil
    attachment.controllerEnded()
  }

  /// Ends a controller: its connections close, what runs is tracked to its end.
  func end(_ controller: Controller) {
    if ending.contains(where: { $0 === controller }) { return }
    controller.end()
    ending.append(controller)
    detach(controller)
    for connection in connections(of: controller) where !connection.isClosed { connection.close(.bySelf) }
    settle()
  }

  /// Ends some controllers; `body` is called when their commands are settled.
  func end(_ controllers: [Controller], then body: @escaping () -> Void) {
    for controller in controllers { end(controller) }
    waits.append((controllers, body))
    settle()
  }

  /// What a property write asked for: done now, or when the commands in the way are settled.
  func perform(_ effect: ControllerEffect, of controller: Controller) {
    switch effect {
    case .enable: break
    case .reset, .shutdown:
      for connection in connections(of: controller) where connection.queueID != 0 && !connection.isClosed {
        connection.close(.bySelf)
      }
    }
    // A later write replaces an earlier one: there is one thing to do for each controller, however often its host changes its mind.
    effects.removeAll { $0.controller === controller }
    effects.append((controller, effect))
    settle()
  }

  /// The connection is closed and its last command has ended.
  func connectionSettled(_ connection: Connection) {
    connections.removeAll { $0 === connection }
    if let controller = connection.controller, connection.queueID != 0 { controller.ioQueueClosed(connection.queueID) }
    settle()
  }

  /// Goes on with whatever waited for commands to end.
  private func settle() {
    for controller in ending where connections(of: controller).isEmpty {
      core.remove(controller)
      attachments.removeAll { $0.controller === controller }
    }
    ending.removeAll { connections(of: $0).isEmpty }
    var index = 0
    while index < effects.count {
      let (controller, effect) = effects[index]
      if isInTheWay(of: effect, controller) {
        index += 1
      } else {
        effects.remove(at: index)
        settled(effect, controller)
      }
    }
    // Whoever waited may take the device away.
    if !flushes.isEmpty { return }
    let over = waits.filter { wait in wait.controllers.allSatisfy { connections(of: $0).isEmpty } }
    waits.removeAll { wait in wait.controllers.allSatisfy { connections(of: $0).isEmpty } }
    for wait in over { wait.body() }
  }

  /// The commands in the way have ended. An orderly shutdown makes durable what was written (NVMe Base 2.0, 3.6.1).
  private func settled(_ effect: ControllerEffect, _ controller: Controller) {
    if effect == .shutdown(isAbrupt: false), let device = device(of: controller), core.namespace?.hasVolatileWriteCache == true {
      let flush = ShutdownFlush { [self] flush in
        flushes.removeAll { $0 === flush }
        controller.effectPerformed(effect)
        settle()
      }
      flushes.append(flush)
      unsafe device.submit(BlockRequest(.flush, token: 0), for: flush)
      return
    }
    controller.effectPerformed(effect)
    deliverEvents(of: controller)
  }

  private func isInTheWay(of effect: ControllerEffect, _ controller: Controller) -> Bool {
    switch effect {
    case .enable:
      ending.contains {
        $0 !== controller && $0.hostName == controller.hostName && $0.hostIdentifier == controller.hostIdentifier
          && $0.portal == controller.portal
      }
    case .reset, .shutdown: connections(of: controller).contains { $0.queueID != 0 }
    }
  }

  /// Ends all controllers; `body` is called when every command is settled.
  func endAll(then body: @escaping () -> Void) { end(core.controllers + ending, then: body) }

  /// Tells hosts what changed, as far as they asked.
  func deliverEvents() {
    for controller in core.controllers { deliverEvents(of: controller) }
  }

  private func deliverEvents(of controller: Controller) {
    connections.first { $0.controller === controller && $0.queueID == 0 }?.deliverEvents()
  }

  /// Ends controllers whose hosts have fallen silent.
  func tick(now: UInt64) {
    for connection in connections where !connection.isClosed && connection.lastActivity != connection.reportedActivity {
      connection.reportedActivity = connection.lastActivity
      connection.controller?.touch(now)
    }
    for controller in core.controllers where controller.isExpired(now) { end(controller) }
    for connection in connections where connection.stage == .terminating && connection.deadline <= now { connection.close(.bySelf) }
    for connection in connections where !connection.isEnding && connection.isStalled(now) { connection.closeStalled() }
  }
}

/// One flush of a device, and what follows it.
private final class ShutdownFlush: BlockClient {
  private let body: (ShutdownFlush) -> Void

  init(then body: @escaping (ShutdownFlush) -> Void) {
    self.body = body
    super.init()
  }

  override func blockRequestCompleted(token: UInt64, status: BlockStatus) {
    // Devices keep no reference to their clients, and `body` lets go of this one.
    let kept = unsafe Unmanaged.passRetained(self)
    body(self)
    unsafe kept.release()
  }
}
