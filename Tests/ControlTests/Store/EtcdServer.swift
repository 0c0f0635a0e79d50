import Foundation
import GRPC
import Glibc
import Synchronization

@testable import Control

/// etcd servers of a test, on loopback, with folders of their own; killed when the test lets go of them, and when it dies.
final class EtcdServer: Sendable {
  struct Member: Sendable {
    var name: String
    var clientPort: UInt16
    var peerPort: UInt16
    var dataPath: String
  }

  let members: [Member]
  private let arguments: [String]
  private let scheme: String
  private let peerScheme: String
  private let processes: Mutex<[String: Running]>

  private struct Running {
    var process: Process
    /// When this closes, the server is killed: also when the test's process dies.
    var leash: FileHandle
    var pid: pid_t
  }

  /// Starts all members. `arguments` are etcd's own, beyond addresses and folders.
  init(memberCount: Int = 1, scheme: String = "http", peerScheme: String = "http", arguments: [String] = []) throws {
    let directory = try TemporaryDirectory()
    let ports = try Self.freePorts(2 * memberCount)
    members = (0..<memberCount).map {
      Member(name: "m\($0)", clientPort: ports[2 * $0], peerPort: ports[2 * $0 + 1], dataPath: "\(directory.path)/m\($0)")
    }
    self.arguments = arguments + ["--initial-cluster-token", UUID().uuidString]
    self.scheme = scheme
    self.peerScheme = peerScheme
    processes = Mutex([:])
    for member in members { try start(member.name) }
  }

  deinit { for member in members { kill(member.name) } }

  var endpoints: [GRPCEndpoint] { members.map { .tcp(host: "127.0.0.1", port: $0.clientPort) } }
  var options: EtcdOptions { EtcdOptions(endpoints: endpoints) }

  func start(_ name: String) throws {
    let member = members.first { $0.name == name }!
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    let cluster = members.map { "\($0.name)=\(peerScheme)://127.0.0.1:\($0.peerPort)" }.joined(separator: ",")
    let script = #"log=$1; shift; "$@" >"$log" 2>&1 </dev/null & echo $!; cat >/dev/null; kill -9 $! 2>/dev/null"#
    process.arguments =
      [
        "-c", script, "sh", member.dataPath + ".log", "etcd", "--name", name, "--data-dir", member.dataPath, "--logger", "zap",
        "--log-level", "error",
        "--listen-client-urls", "\(scheme)://127.0.0.1:\(member.clientPort)", "--advertise-client-urls",
        "\(scheme)://127.0.0.1:\(member.clientPort)", "--listen-peer-urls", "\(peerScheme)://127.0.0.1:\(member.peerPort)",
        "--initial-advertise-peer-urls", "\(peerScheme)://127.0.0.1:\(member.peerPort)", "--initial-cluster", cluster,
        "--heartbeat-interval",
        "50", "--election-timeout", "500",
      ] + arguments
    let (input, output) = (Pipe(), Pipe())
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
    let pid = pid_t(text.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
    processes.withLock { $0[name] = Running(process: process, leash: input.fileHandleForWriting, pid: pid) }
  }

  /// `kill -9`, waited for.
  func kill(_ name: String) {
    guard let running = processes.withLock({ $0.removeValue(forKey: name) }) else { return }
    if running.pid > 1 { Glibc.kill(running.pid, SIGKILL) }
    try? running.leash.close()
    running.process.waitUntilExit()
  }

  func signal(_ name: String, _ signal: Int32) {
    if let pid = processes.withLock({ $0[name]?.pid }), pid > 1 { Glibc.kill(pid, signal) }
  }

  func log(_ name: String) -> String {
    (try? String(contentsOfFile: members.first { $0.name == name }!.dataPath + ".log", encoding: .utf8)) ?? ""
  }

  /// Opens a store, waiting for a cluster that is just starting.
  func open(_ options: EtcdOptions? = nil) throws -> EtcdStore {
    var lastError: (any Error)?
    for _ in 0..<6 {
      do { return try EtcdStore(options ?? self.options) } catch { lastError = error }
    }
    throw lastError!
  }

  /// Ports nobody listens on, below those that the kernel gives to outgoing connections: a server that restarts finds its port free.
  private static func freePorts(_ count: Int) throws -> [UInt16] {
    var ports: [UInt16] = []
    for _ in 0..<1_000 where ports.count < count {
      let port = UInt16.random(in: 10_000..<32_000)
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      defer { close(descriptor) }
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = port.bigEndian
      address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
      let isFree = unsafe withUnsafePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          unsafe bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
      }
      if isFree, !ports.contains(port) { ports.append(port) }
    }
    if ports.count < count { throw POSIXError(.EADDRINUSE) }
    return ports
  }
}

/// An etcd store that keeps its server running for as long as it is used itself.
final class ServedEtcdStore: StateStore {
  let server: EtcdServer
  let store: EtcdStore

  init(_ server: EtcdServer) throws {
    self.server = server
    store = try server.open()
  }

  var identity: String { store.identity }
  func get(_ key: String) throws(StoreError) -> StoreEntry? { try store.get(key) }
  func list(prefix: String, after: String?, limit: Int) throws(StoreError) -> StorePage {
    try store.list(prefix: prefix, after: after, limit: limit)
  }
  func transact(_ transaction: StoreTransaction) throws(StoreError) -> StoreOutcome { try store.transact(transaction) }
  func watch(prefix: String, fromRevision: StoreRevision?) throws(StoreError) -> any StoreWatch {
    ServedWatch(server: server, watch: try store.watch(prefix: prefix, fromRevision: fromRevision))
  }
  func grantLease(ttlSeconds: Int) throws(StoreError) -> StoreLease { try store.grantLease(ttlSeconds: ttlSeconds) }
  func keepAlive(_ lease: StoreLeaseID) throws(StoreError) { try store.keepAlive(lease) }
  func revoke(_ lease: StoreLeaseID) throws(StoreError) { try store.revoke(lease) }
  func close() { store.close() }
}

/// A watch that keeps its server running.
private final class ServedWatch: StoreWatch {
  let server: EtcdServer
  let watch: any StoreWatch

  init(server: EtcdServer, watch: any StoreWatch) {
    self.server = server
    self.watch = watch
  }

  func poll() throws(StoreError) -> StoreWatchBatch? { try watch.poll() }
  func next(timeoutNanoseconds: UInt64?) throws(StoreError) -> StoreWatchBatch? { try watch.next(timeoutNanoseconds: timeoutNanoseconds) }
  func cancel() { watch.cancel() }
}
