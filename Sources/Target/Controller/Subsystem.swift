import NVMe

/// A subsystem with its controllers. Lives on one reactor, as do its controllers; holds no connection and does no I/O.
final class Subsystem {
  let description: SubsystemDescription
  private(set) var namespace: NamespaceDescription?
  private(set) var allowedHosts: HostFilter
  /// What a discovery subsystem tells; empty elsewhere.
  private(set) var discoveryLog: DiscoveryLog
  /// Changes of the ANA log.
  private(set) var anaChangeCount: UInt64 = 1
  /// In the order in which they came.
  private(set) var controllers: [Controller] = []
  private var identifiers: ControllerIdentifierAllocator

  init(_ description: SubsystemDescription, discoveryLog: DiscoveryLog = DiscoveryLog()) {
    description.checkLimits()
    self.description = description
    self.discoveryLog = discoveryLog
    namespace = description.namespace
    allowedHosts = description.allowedHosts
    identifiers = ControllerIdentifierAllocator(range: description.controllerIdentifiers)
  }

  var name: QualifiedName { description.name }
  var isDiscovery: Bool { description.kind == .discovery }

  func controller(_ identifier: UInt16) -> Controller? { controllers.first { $0.identifier == identifier } }

  /// Forgets a controller whose connections have ended and whose commands are settled. Its id is not used again soon.
  func remove(_ controller: Controller) { controllers.removeAll { $0 === controller } }

  /// Makes a controller with the next free id; nil when there is no room for one.
  func makeController(_ request: ConnectRequest, portal: UInt16, now: UInt64) -> Controller? {
    if controllers.count >= description.maximumControllers { return nil }
    guard let identifier = identifiers.allocate(isInUse: { candidate in self.controller(candidate) != nil }) else { return nil }
    let controller = Controller(
      subsystem: self, identifier: identifier, hostName: request.data.hostName, hostIdentifier: request.data.hostIdentifier, portal: portal,
      isReadOnly: allowedHosts.isReadOnly(request.data.hostName), keepAliveMilliseconds: request.keepAliveMilliseconds, now: now)
    controllers.append(controller)
    return controller
  }
}

/// Changes that hosts are told of. The caller then asks each controller for its events (`takeEvent`).
extension Subsystem {
  /// The namespace came (from nil), went (to nil) or is described otherwise.
  func setNamespace(_ new: NamespaceDescription?) {
    let old = namespace
    if new == old { return }
    namespace = new
    if old?.anaState != new?.anaState || old?.anaGroup != new?.anaGroup {
      anaChangeCount += 1
      for controller in controllers { controller.anaChanged() }
    }
    var oldOtherwise = old
    if let new { oldOtherwise?.anaState = new.anaState }
    if oldOtherwise == new { return }
    for identifier in Set([old?.identifier, new?.identifier].compactMap(\.self)).sorted() {
      for controller in controllers { controller.namespaceAttributesChanged(identifier) }
    }
  }

  func setANAState(_ state: ANAState) {
    guard var namespace else { return }
    namespace.anaState = state
    setNamespace(namespace)
  }

  func setDiscoveryRecords(_ records: [DiscoveryRecord]) {
    precondition(isDiscovery)
    if !discoveryLog.replace(records) { return }
    for controller in controllers { controller.discoveryLogChanged() }
  }

  /// Sets who may connect, and returns the controllers of hosts that now may not, or not in the same way: the caller ends them and settles
  /// their commands before it says that the host is out. A host that now may only read, or write too, comes again and sees that.
  func setAllowedHosts(_ hosts: HostFilter) -> [Controller] {
    allowedHosts = hosts
    return controllers.filter { !hosts.allows($0.hostName) || hosts.isReadOnly($0.hostName) != $0.isReadOnly }
  }
}
