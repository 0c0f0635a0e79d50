import CLinux
import Foundation
import Glibc
import Reactor
import Synchronization

/// `keelson dev`: runs the nodes as processes of their own and the controller in this one, until it is told to stop.
///
/// One thread, the caller's, decides everything; others only bring it events.
public final class DevSupervisor: Sendable {
  /// How long nodes have to end by themselves.
  static let stopNanoseconds: UInt64 = 10_000_000_000
  static let readyNanoseconds: UInt64 = 60_000_000_000
  /// A predecessor's nodes may still be ending.
  static let portPatienceNanoseconds: UInt64 = 12_000_000_000
  /// A node that ends so often before everything was ready once does not run at all.
  static let maximumEarlyFailureCount = 3

  private static let maximumLogBytes = 16 << 20
  private static let leaderPrefix = "dev/"

  private enum Event: Sendable {
    case ended(node: Int, ProcessEnd)
    case ready
    case notReady(missing: String)
    case stop
  }

  private let options: DevOptions
  private let log: @Sendable (String) -> Void
  private let events = EventQueue<Event>()
  /// The process of each node, 0 while it has none.
  private let processIDs: Mutex<[Int32]>

  /// `log` gets a line about what happens.
  public init(_ options: DevOptions, log: @escaping @Sendable (String) -> Void) {
    self.options = options
    self.log = log
    processIDs = Mutex([Int32](repeating: 0, count: options.nodeCount))
  }

  /// Ends `run` in good order; a second time, at once. From any thread.
  public func stop() { events.append(.stop) }

  /// Runs until `stop`. `whenReady` is called once, when volumes can be created.
  public func run(whenReady: () -> Void) throws {
    try options.directory.create(nodes: options.nodeNames)
    let lock = try options.directory.lock()
    try awaitPorts(isFirstRun: unsafe access(options.directory.storePath, F_OK) != 0)
    let store: any StateStore = try StoreLocation.sqlite(path: options.directory.storePath).open()
    defer { store.close() }
    // The second end closes with this process, however it ends; that is what tells the nodes to stop.
    var ends: [Int32] = [0, 0]
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    guard unsafe socketpair(AF_UNIX, type, 0, &ends) == 0 else { throw DevError.system(action: "create a pair of sockets", code: errno) }
    defer { for end in ends { Glibc.close(end) } }

    try forgetPredecessor(store)
    let leader = Self.leaderPrefix + "\(getpid())"
    let controller = Controller(store: store, name: leader, policy: options.policy) { [log] in log($0) }
    controller.start()
    defer { controller.stop() }
    watchForReadiness(store, leader: leader)
    var nodes = (0..<options.nodeCount).map { _ in Node() }
    let outcome = Result { try supervise(&nodes, standardInput: ends[0], whenReady: whenReady) }
    stopNodes(&nodes)
    _ = consume lock
    try outcome.get()
  }

  /// Ends the lead of a `keelson dev` that ran in this folder and was killed, instead of waiting for its lease to run out: it is
  /// gone for sure, since this process holds its lock.
  private func forgetPredecessor(_ store: any StateStore) throws {
    guard let record = try store.object(LeaderRecord.self, at: Keys.controllerLease),
      record.object.holder.hasPrefix(Self.leaderPrefix)
    else { return }
    _ = try store.transact(StoreTransaction(compares: [record.isUnchanged], operations: [.delete(key: record.key)]))
  }

  /// A node as the supervisor sees it.
  private struct Node {
    var process: ChildProcess?
    var startedAt: UInt64 = 0
    /// When to start it, while it does not run.
    var startAt: UInt64? = 0
    var policy = RestartPolicy()
  }

  private func supervise(_ nodes: inout [Node], standardInput: Int32, whenReady: () -> Void) throws(DevError) {
    var isReady = false
    while true {
      let now = Clock.monotonicNanoseconds()
      for index in nodes.indices {
        guard let startAt = nodes[index].startAt, startAt <= now else { continue }
        nodes[index].startAt = nil
        nodes[index].startedAt = now
        nodes[index].process = try start(index, standardInput: standardInput)
      }
      let next = nodes.compactMap(\.startAt).min()
      guard let event = events.next(timeoutNanoseconds: next.map { $0 > now ? $0 - now : 0 }) else { continue }
      switch event {
      case .stop: return
      case .ready:
        isReady = true
        whenReady()
      case .notReady(let missing):
        throw .notReady(waitedSeconds: Self.readyNanoseconds / 1_000_000_000, missing: missing)
      case .ended(let index, let end):
        let name = options.nodeNames[index]
        let ended = Clock.monotonicNanoseconds()
        processIDs.withLock { $0[index] = 0 }
        nodes[index].process = nil
        let delay = nodes[index].policy.delay(afterRunOf: ended - nodes[index].startedAt)
        if !isReady && nodes[index].policy.failureCount >= Self.maximumEarlyFailureCount {
          throw .nodeFails(name: name, reason: "\(end)", logPath: options.directory.logPath(node: name))
        }
        nodes[index].startAt = ended + delay
        log("\(name) \(end); it starts again in \(delay / 1_000_000) ms")
      }
    }
  }

  private func start(_ index: Int, standardInput: Int32) throws(DevError) -> ChildProcess {
    let logPath = options.directory.logPath(node: options.nodeNames[index])
    keepSmall(logPath)
    // Locked, so that whoever sees the node registered also knows its process.
    return try processIDs.withLock { processIDs throws(DevError) in
      let process = try ChildProcess.start(
        arguments: options.arguments(ofNode: index), standardInput: standardInput, logPath: logPath
      ) { [events] in events.append(.ended(node: index, $0)) }
      processIDs[index] = process.processID
      return process
    }
  }

  /// A log that has grown large makes room for a new one; one old log is kept.
  private func keepSmall(_ logPath: String) {
    var status = stat()
    if unsafe stat(logPath, &status) == 0, status.st_size > Self.maximumLogBytes { unsafe rename(logPath, logPath + ".old") }
  }

  /// Asks all nodes to end, and kills those that have not in time, or at once when asked to stop again.
  private func stopNodes(_ nodes: inout [Node]) {
    for node in nodes { node.process?.send(SIGTERM) }
    let deadline = Clock.monotonicNanoseconds() + Self.stopNanoseconds
    var wasKilled = false
    while nodes.contains(where: { $0.process != nil }) {
      let now = Clock.monotonicNanoseconds()
      let event = events.next(timeoutNanoseconds: wasKilled ? nil : deadline > now ? deadline - now : 0)
      switch event {
      case .ended(let index, _)?: nodes[index].process = nil
      case .ready?, .notReady?: break
      case .stop?, nil:
        if wasKilled { continue }
        wasKilled = true
        for (index, node) in nodes.enumerated() where node.process != nil {
          log("\(options.nodeNames[index]) has not ended in time and is killed")
          node.process?.send(SIGKILL)
        }
      }
    }
  }

  /// Sends `ready` or `notReady`, once: when the store says that all processes of ours serve, and that our controller leads.
  private func watchForReadiness(_ store: any StateStore, leader: String) {
    PlainThread.start(name: "keelson-ready") { [self] in
      var missing = ""
      let isReady = try? store.wait(nanoseconds: Self.readyNanoseconds) { mirror -> Bool? in
        missing = self.missing(in: mirror, leader: leader)
        return missing.isEmpty ? true : nil
      }
      events.append(isReady == true ? .ready : .notReady(missing: missing.isEmpty ? "the store does not answer" : missing))
    }
  }

  /// What readiness waits for; empty when there is nothing.
  private func missing(in mirror: StoreMirror, leader: String) -> String {
    let cluster = ClusterState(mirror.entries)
    let current = processIDs.withLock { $0 }
    var reasons: [String] = []
    for (index, name) in options.nodeNames.enumerated() {
      if let status = cluster.node(name), status.pid == current[index], status.state == .ready {
        for pool in cluster.pools where pool.node == name && pool.object.state != .ready {
          reasons.append("pool \(pool.object.name) of \(name) is \(pool.object.state.rawValue)")
        }
      } else {
        reasons.append("\(name) has not registered")
      }
    }
    let record = mirror[Keys.controllerLease].flatMap { try? Stored<LeaderRecord>($0) }
    if record?.object.holder != leader { reasons.append("another controller leads") }
    return reasons.joined(separator: ", ")
  }

  /// Throws unless every node can listen. In a folder that was used before, ports may be free only when the last run's nodes
  /// have ended.
  private func awaitPorts(isFirstRun: Bool) throws(DevError) {
    let deadline = Clock.monotonicNanoseconds() + (isFirstRun ? 0 : Self.portPatienceNanoseconds)
    var wasTold = false
    while true {
      do throws(DevError) {
        return try checkPorts()
      } catch {
        guard case .portTaken(let address, _) = error, Clock.monotonicNanoseconds() < deadline else { throw error }
        if !wasTold { log("waiting for \(address) to become free") }
        wasTold = true
        usleep(200_000)
      }
    }
  }

  private func checkPorts() throws(DevError) {
    for (index, name) in options.nodeNames.enumerated() {
      guard let address = options.listenAddress(ofNode: index) else {
        throw .cannotListen(address: options.listenHost, node: name, code: EINVAL)
      }
      do {
        Glibc.close(try Socket.listen(on: address))
      } catch {
        throw error.code == EADDRINUSE
          ? .portTaken(address: "\(address)", node: name) : .cannotListen(address: "\(address)", node: name, code: error.code)
      }
    }
  }
}

/// Events from any thread for one that waits for them.
private final class EventQueue<Event: Sendable>: Sendable {
  private let events = Mutex<[Event]>([])
  private let count = DispatchSemaphore(value: 0)

  func append(_ event: Event) {
    events.withLock { $0.append(event) }
    count.signal()
  }

  /// The next event; nil after the time. Without a time it waits without end.
  func next(timeoutNanoseconds: UInt64?) -> Event? {
    let deadline = timeoutNanoseconds.map { DispatchTime.now() + .nanoseconds(Int(min($0, UInt64(Int64.max)))) }
    guard count.wait(timeout: deadline ?? .distantFuture) == .success else { return nil }
    return events.withLock { $0.removeFirst() }
  }
}
