import NVMe
import Reactor

/// A subsystem with one namespace, its controllers and their connections; lives on one reactor.
public final class Subsystem {
  public let description: SubsystemDescription
  /// What serves the namespace; nil for discovery.
  let device: BlockDevice?
  let usesReplicaArena: Bool
  private(set) var controllers: [Controller] = []
  private(set) var connections: [Connection] = []
  /// Connects that wait until the same host's older commands have ended (R12), with the time they give up.
  private var waitingConnects: [(deadline: UInt64, host: HostIdentity, resume: (Bool) -> Void)] = []
  private var nextControllerID: UInt16
  /// Called when a host's access ended and all its commands are settled.
  private var settledCallbacks: [() -> Void] = []
  /// Why commands cannot be served on this path now, if so.
  var pathStatus: Status?

  struct HostIdentity: Equatable {
    let nqn: String
    let identifier: Identifier128
  }

  init(description: SubsystemDescription, device: BlockDevice?, usesReplicaArena: Bool) {
    self.description = description
    self.device = device
    self.usesReplicaArena = usesReplicaArena
    nextControllerID = description.controllerIDs.lowerBound
  }

  func controller(id: UInt16) -> Controller? { controllers.first { $0.id == id } }

  func connections(of controller: Controller) -> [Connection] { connections.filter { $0.controller === controller } }

  /// An id that is not in use and was not used lately: they go round.
  func allocateControllerID() -> UInt16? {
    for _ in 0..<description.controllerIDs.count {
      let id = nextControllerID
      nextControllerID = id == description.controllerIDs.upperBound ? description.controllerIDs.lowerBound : id + 1
      if controller(id: id) == nil { return id }
    }
    return nil
  }

  func add(_ controller: Controller) { controllers.append(controller) }
  func add(_ connection: Connection) { connections.append(connection) }

  /// Ends a controller: all its connections close; what they have running is tracked to its end.
  func end(_ controller: Controller) {
    controllers.removeAll { $0 === controller }
    for connection in connections(of: controller) { connection.close(.bySelf) }
  }

  /// Ends the I/O queues of a controller that was reset or shut down.
  func endIOQueues(of controller: Controller) {
    for connection in connections(of: controller) where connection.queueID != 0 { connection.close(.bySelf) }
  }

  /// Ends all older controllers of a host, then calls `body`: with true once their commands are settled, with false if that
  /// takes too long.
  func replaceControllers(of host: HostIdentity, now: UInt64, then body: @escaping (Bool) -> Void) {
    for controller in controllers where controller.host == host { end(controller) }
    if isSettled(host) { body(true) } else { waitingConnects.append((now + TargetLimits.settleNanoseconds, host, body)) }
  }

  private func isSettled(_ host: HostIdentity) -> Bool {
    !connections.contains { $0.isClosed && !$0.isSettled && $0.controller?.host == host }
  }

  /// A closed connection's last command ended, or it had none.
  func connectionSettled(_ connection: Connection) {
    connections.removeAll { $0 === connection }
    var index = 0
    while index < waitingConnects.count {
      if isSettled(waitingConnects[index].host) { waitingConnects.remove(at: index).resume(true) } else { index += 1 }
    }
    if connections.allSatisfy({ !$0.isClosed || $0.isSettled }), !settledCallbacks.isEmpty, connections.isEmpty {
      let callbacks = settledCallbacks
      settledCallbacks = []
      for callback in callbacks { callback() }
    }
  }

  /// Ends all controllers; `body` is called when every command is settled.
  func endAll(then body: @escaping () -> Void) {
    for controller in controllers { end(controller) }
    for connection in connections where !connection.isClosed { connection.close(.bySelf) }
    if connections.isEmpty { body() } else { settledCallbacks.append(body) }
  }

  /// Looks at what is overdue.
  func tick(now: UInt64) {
    var index = 0
    while index < waitingConnects.count {
      if waitingConnects[index].deadline <= now { waitingConnects.remove(at: index).resume(false) } else { index += 1 }
    }
    for connection in connections where !connection.isClosed { connection.controller?.sawActivity(at: connection.lastActivity) }
    for controller in controllers where controller.isExpired(now: now) { end(controller) }
  }
}
