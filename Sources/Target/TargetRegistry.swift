import NVMe
import Reactor
import Synchronization

/// An address a subsystem can be reached at, as discovery tells it.
public struct TargetPortal: Equatable, Sendable {
  public let address: SocketAddress
  /// PORTID of the discovery log.
  public let portID: UInt16

  public init(address: SocketAddress, portID: UInt16) {
    self.address = address
    self.portID = portID
  }
}

/// What the reactors of one target share: which subsystem lives where, what discovery tells, and how many connections there
/// are. Looked at when connections come and go, never per command.
public final class TargetRegistry: Sendable {
  struct Entry {
    let nqn: String
    let reactorIndex: Int
    let isDiscoverable: Bool
    let allowedHosts: AllowedHosts
  }

  private struct State {
    var entries: [Entry] = []
    var portals: [TargetPortal] = []
    var generation: UInt64 = 1
    var connections = 0
    var connectionsByHost: [String: Int] = [:]
    var listeners: [@Sendable () -> Void] = []
  }

  private let state = Mutex(State())
  public let maximumConnections: Int
  public let maximumConnectionsPerHost: Int

  public init(
    maximumConnections: Int = TargetLimits.connections, maximumConnectionsPerHost: Int = TargetLimits.connectionsPerHost
  ) {
    self.maximumConnections = maximumConnections
    self.maximumConnectionsPerHost = maximumConnectionsPerHost
  }

  func reactorIndex(of nqn: String) -> Int? {
    state.withLock { state in state.entries.first { $0.nqn == nqn }?.reactorIndex }
  }

  func insert(_ entry: Entry) {
    change { state in
      precondition(!state.entries.contains { $0.nqn == entry.nqn }, "the subsystem exists already")
      state.entries.append(entry)
      state.entries.sort { $0.nqn < $1.nqn }
    }
  }

  func remove(nqn: String) { change { $0.entries.removeAll { $0.nqn == nqn } } }

  /// The addresses discovery announces for every subsystem.
  public func setPortals(_ portals: [TargetPortal]) { change { $0.portals = portals } }

  /// Calls `listener` after every change of what discovery tells, on any thread.
  func onChange(_ listener: @escaping @Sendable () -> Void) { state.withLock { $0.listeners.append(listener) } }

  private func change(_ body: (inout sending State) -> Void) {
    let listeners = state.withLock { state in
      body(&state)
      state.generation += 1
      return state.listeners
    }
    for listener in listeners { listener() }
  }

  /// The subsystems a host may see, one record per portal, and the generation of the whole.
  func discovery(for hostNQN: String) -> (generation: UInt64, records: [(nqn: String, portal: TargetPortal)], portals: [TargetPortal]) {
    state.withLock { state in
      var records: [(nqn: String, portal: TargetPortal)] = []
      for entry in state.entries where entry.isDiscoverable && entry.allowedHosts.contains(hostNQN) {
        for portal in state.portals { records.append((entry.nqn, portal)) }
      }
      return (state.generation, records, state.portals)
    }
  }

  /// Counts a new connection; nil when there are too many.
  func admit(_ host: String) -> Admission? {
    let isAdmitted = state.withLock { state in
      let ofHost = state.connectionsByHost[host] ?? 0
      guard state.connections < maximumConnections, ofHost < maximumConnectionsPerHost else { return false }
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
