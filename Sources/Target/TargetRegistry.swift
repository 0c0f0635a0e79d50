import NVMe
import Reactor
import Synchronization

/// An address a subsystem can be reached at, as discovery tells it.
public struct TargetPortal: Equatable, Sendable {
  public let address: SocketAddress
  /// PORTID of the discovery log.
  public let portID: UInt16
  /// False for the well-known discovery port, where hosts only ask.
  public let servesVolumes: Bool

  public init(address: SocketAddress, portID: UInt16, servesVolumes: Bool = true) {
    self.address = address
    self.portID = portID
    self.servesVolumes = servesVolumes
  }
}

/// What the reactors of one target share: which subsystem lives where, what discovery tells, and how many connections there
/// are. Looked at when connections come and go, never per command.
public final class TargetRegistry: Sendable {
  struct Entry {
    let name: QualifiedName
    let reactorIndex: Int
    let isDiscoverable: Bool
    var allowedHosts: HostFilter
    /// Where other nodes serve it.
    var otherPortals: [TargetPortal] = []
  }

  private struct State {
    var entries: [Entry] = []
    var portals: [TargetPortal] = []
    var connections = 0
    var connectionsByHost: [String: Int] = [:]
    var listener: (@Sendable ([DiscoveryRecord]) -> Void)?
  }

  private let state = Mutex(State())
  public let limits: TargetLimits

  public init(limits: TargetLimits = TargetLimits()) { self.limits = limits }

  /// Connections that are open now.
  public var connectionCount: Int { state.withLock { $0.connections } }

  func reactorIndex(of name: QualifiedName) -> Int? {
    state.withLock { state in state.entries.first { $0.name == name }?.reactorIndex }
  }

  func insert(_ entry: Entry) {
    change { state in
      precondition(!state.entries.contains { $0.name == entry.name }, "the subsystem exists already")
      state.entries.append(entry)
      state.entries.sort { $0.name.description < $1.name.description }
    }
  }

  func remove(_ name: QualifiedName) { change { $0.entries.removeAll { $0.name == name } } }

  /// The addresses discovery announces for every subsystem.
  public func setPortals(_ portals: [TargetPortal]) { change { $0.portals = portals } }

  /// Who may see a subsystem changed.
  func setAllowedHosts(_ hosts: HostFilter, of name: QualifiedName) {
    change { state in
      guard let index = state.entries.firstIndex(where: { $0.name == name }) else { return }
      state.entries[index].allowedHosts = hosts
    }
  }

  /// Where else a subsystem is served.
  func setOtherPortals(_ portals: [TargetPortal], of name: QualifiedName) {
    change { state in
      guard let index = state.entries.firstIndex(where: { $0.name == name }) else { return }
      state.entries[index].otherPortals = portals
    }
  }

  /// Calls `listener` with what discovery tells, now and after every change, on any thread.
  func onChange(_ listener: @escaping @Sendable ([DiscoveryRecord]) -> Void) {
    change { $0.listener = listener }
  }

  private func change(_ body: (inout sending State) -> Void) {
    // Told under the lock, so that two changes are never told in the wrong order.
    state.withLock { state in
      body(&state)
      state.listener?(Self.records(state))
    }
  }

  /// One record per discoverable subsystem and portal, after those of the discovery subsystem itself.
  private static func records(_ state: State) -> [DiscoveryRecord] {
    var records: [DiscoveryRecord] = []
    for portal in state.portals {
      records.append(
        DiscoveryRecord(
          subsystemName: .discovery, kind: .currentDiscovery, address: portal.address.host, port: portal.address.port,
          portIdentifier: portal.portID))
    }
    for entry in state.entries where entry.isDiscoverable {
      for portal in state.portals + entry.otherPortals where portal.servesVolumes {
        records.append(
          DiscoveryRecord(
            subsystemName: entry.name, kind: .nvm, address: portal.address.host, port: portal.address.port,
            portIdentifier: portal.portID, allowedHosts: entry.allowedHosts))
      }
    }
    return records
  }

  /// Counts a new connection; nil when there are too many.
  func admit(_ host: String) -> Admission? {
    let isAdmitted = state.withLock { state in
      let ofHost = state.connectionsByHost[host] ?? 0
      guard state.connections < limits.connections, ofHost < limits.connectionsPerHost else { return false }
      state.connections += 1
      state.connectionsByHost[host] = ofHost + 1
      return true
    }
    return isAdmitted ? Admission(registry: self, host: host) : nil
  }

  fileprivate func leave(_ host: String) {
    state.withLock { state in
      state.connections -= 1
      let left = (state.connectionsByHost[host] ?? 1) - 1
      state.connectionsByHost[host] = left > 0 ? left : nil
    }
  }
}

/// A counted connection; its end gives the place back.
final class Admission: Sendable {
  private let registry: TargetRegistry
  private let host: String

  fileprivate init(registry: TargetRegistry, host: String) {
    self.registry = registry
    self.host = host
  }

  deinit { registry.leave(host) }
}

/// One line of log, to wherever the process logs.
public struct TargetLog: Sendable {
  private let sink: @Sendable (String) -> Void
  public init(_ sink: @escaping @Sendable (String) -> Void) { self.sink = sink }
  func write(_ line: String) { sink(line) }
}
