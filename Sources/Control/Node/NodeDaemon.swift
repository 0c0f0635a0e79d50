import CLinux
import Foundation
import Glibc
import NVMe
import Pool
import Reactor
import Synchronization
import Target

/// `keelson node`: pools, replicas, nexuses and the target of one storage node, from start to an orderly end.
public final class NodeDaemon {
  /// Why a node could not start, in a sentence.
  public struct StartError: Error, CustomStringConvertible {
    public let description: String
  }

  private let options: NodeOptions
  private let log: NodeLog
  private var reactors: [ReactorReference] = []
  private var pools: [Pool] = []

  private init(options: NodeOptions) {
    self.options = options
    log = NodeLog(name: options.name)
  }

  /// Runs a node until SIGTERM, SIGINT, or `stopsWithStandardInput` and its end. Call it from the main thread, before others
  /// are started: it blocks those signals for the whole process and waits for them.
  public static func run(_ options: NodeOptions, stopsWithStandardInput: Bool = false) throws {
    let stop = TerminationSignal(alsoStandardInput: stopsWithStandardInput)
    try NodeDaemon(options: options).run(until: stop)
  }

  private func run(until stop: TerminationSignal) throws {
    try startReactors()
    try openPools()
    let store: any StateStore
    do {
      store = try options.store.open()
    } catch {
      throw StartError(description: "cannot open the state store \(options.store): \(error)")
    }
    let incarnation = UUID().uuidString.lowercased()
    let target = TargetServer(
      reactors: reactors, serialNumber: String(options.name.prefix(20)), log: TargetLog { [log] in log.write($0) })
    try listen(target)
    let identifiers: ClosedRange<UInt16>
    do {
      identifiers = try ControllerIdentifierBlock.allot(node: options.name, in: store)
    } catch {
      throw StartError(description: "cannot get controller ids from the state store: \(error)")
    }
    let node = NodeContext(
      name: options.name, incarnation: incarnation, store: store, target: target, reactors: reactors, log: log,
      controllerIdentifiers: identifiers,
      rebuildBytesPerSecond: options.rebuildBytesPerSecond)
    var status = status(incarnation)
    let metrics = try serveMetrics(of: node, &status)
    let agent = NodeAgent(node: node, pools: pools, status: status)
    try agent.start()
    log.write("serving on \(options.listen), announced as \(options.advertise)")
    let reason = stop.wait()
    log.write("stopping: \(reason)")
    agent.stop()
    metrics?.stop()
    target.stop()
    for pool in pools {
      do { try pool.close() } catch { log.write("pool \(pool.name): \(error)") }
    }
    for reactor in reactors { reactor.stop() }
    store.close()
    log.write("stopped")
  }

  private func startReactors() throws {
    for index in 0..<options.reactorCount {
      var configuration = options.reactorConfiguration(index)
      // One budget for the process, however many reactors share it.
      configuration.arenaBytes = max(8 << 20, configuration.arenaBytes / options.reactorCount)
      do {
        reactors.append(try Reactor.start(index: index, configuration: configuration))
      } catch { throw StartError(description: "cannot start I/O with --io-engine \(options.engine.rawValue): \(error)") }
    }
    let first = reactors[0]
    let why = first.fallbackReason.map { "; io_uring was refused (\($0))" } ?? ""
    log.write("\(reactors.count) reactor(s) on \(first.engineKind.rawValue)\(why)")
  }

  private func openPools() throws {
    for option in options.pools {
      do throws(PoolError) {
        pools.append(try open(option))
      } catch { throw StartError(description: "pool \(option.text): \(error.description)") }
    }
    for pool in pools {
      for line in pool.warnings + pool.notices { log.write("pool \(pool.name): \(line)") }
    }
  }

  private func open(_ option: PoolOption) throws(PoolError) -> Pool {
    switch option.location {
    case .memory(let byteCount): return try Pool.inMemory(byteCount: byteCount, name: option.name)
    case .path(let path): return try open(path, option, isDrill: false)
    case .drill(let path): return try open(path, option, isDrill: true)
    }
  }

  private func open(_ path: String, _ option: PoolOption, isDrill: Bool) throws(PoolError) -> Pool {
    if let createBytes = option.createBytes, unsafe access(path, F_OK) != 0 {
      return try Pool.format(path: path, name: option.name, createFileBytes: createBytes, integrity: option.integrity, isDrill: isDrill)
    }
    return try Pool.open(path: path, isDrill: isDrill)
  }

  private func listen(_ target: TargetServer) throws {
    do {
      _ = try target.listen(on: options.listen, portID: 1)
    } catch {
      throw StartError(
        description: "\(error). Another process may use the address: choose another with --listen, or stop that process")
    }
    var portals = [TargetPortal(address: options.advertise, portID: 1)]
    if let port = options.discoveryPort, let address = SocketAddress(host: options.listen.host, port: port) {
      do {
        _ = try target.listen(on: address, portID: 2)
        if let announced = SocketAddress(host: options.advertise.host, port: port) {
          portals.append(TargetPortal(address: announced, portID: 2, servesVolumes: false))
        }
      } catch {
        log.write("discovery stays on \(options.listen) alone: \(error)")
      }
    }
    target.announce(portals)
  }

  /// Serves the node's metrics, where that is wanted, and says in its status where they are read.
  private func serveMetrics(of node: NodeContext, _ status: inout NodeStatus) throws -> MetricsServer? {
    guard let address = options.metrics else { return nil }
    let startedAt = status.startedAt
    do {
      let server = try MetricsServer(on: address) { node.figures(startedAt: startedAt).page }
      // Everywhere is no address to be reached at.
      let isEverywhere = address.host == "0.0.0.0" || address.host == "::"
      let told = isEverywhere ? SocketAddress(host: options.peer.host, port: server.address.port) : server.address
      status.metrics = told?.description
      log.write("metrics on http://\(server.address)/metrics")
      return server
    } catch {
      throw StartError(description: "\(error). Choose another address for the metrics with --metrics, or leave it away")
    }
  }

  private func status(_ incarnation: String) -> NodeStatus {
    let addresses = options.advertise == options.peer ? [options.advertise] : [options.advertise, options.peer]
    return NodeStatus(
      name: options.name, pid: getpid(), incarnation: incarnation,
      addresses: addresses.map {
        TransportAddress(adrfam: $0.family == .ipv6 ? "ipv6" : "ipv4", traddr: $0.host, trsvcid: "\($0.port)")
      },
      ioEngine: reactors[0].engineKind.rawValue, state: .ready, startedAt: .now,
      topology: options.topology.isEmpty ? nil : options.topology)
  }
}

/// What ends a daemon: SIGTERM, SIGINT, or the end of its standard input.
final class TerminationSignal: Sendable {
  private let reason = Rendezvous<String>()

  init(alsoStandardInput: Bool) {
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    unsafe sigaddset(&signals, SIGTERM)
    unsafe sigaddset(&signals, SIGINT)
    unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
    signal(SIGPIPE, SIG_IGN)
    let (reason, waited) = (reason, signals)
    PlainThread.start(name: "keelson-signal") {
      var signals = waited
      var received: Int32 = 0
      while unsafe sigwait(&signals, &received) == 0 {
        reason.fulfil(received == SIGINT ? "interrupted" : "asked to terminate")
      }
    }
    guard alsoStandardInput else { return }
    PlainThread.start(name: "keelson-stdin") {
      var byte: UInt8 = 0
      while true {
        let count = unsafe read(0, &byte, 1)
        if count == 0 || (count < 0 && errno != EINTR) { break }
      }
      reason.fulfil("standard input has ended")
    }
  }

  func wait() -> String { reason.wait() }
}
