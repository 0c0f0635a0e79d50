import Console
import Control
import Foundation
import Metrics
import Reactor
import Synchronization

extension Command {
  /// How long a node has to answer.
  private static let answerNanoseconds: UInt64 = 2_000_000_000

  static let top = Command(
    CommandDeclaration(
      ["top"], summary: "what volumes and nodes do right now: operations, bandwidth, latency",
      details: """
        Reads the metrics of all nodes (keelson node --metrics; keelson dev has them) twice, and shows what happened between. On a terminal it goes
        on until Ctrl-C; elsewhere it shows one interval, unless --count says more. Latencies are those that the node sees, from a command's arrival
        to its answer. The rates of a node are those of the volumes that it serves; REPLICA is what other nodes ask of its replicas. A node
        that does not answer is named, and the others are shown.
        """,
      options: [
        OptionDeclaration("interval", .duration, defaultText: "1s", help: "how long to look for each table, from 200ms to 1h"),
        OptionDeclaration(
          "count", .integer(1...1_000_000), help: "how many tables; with --output json one document a line if there are several"),
      ] + StoreAccess.options,
      examples: [
        .init("keelson top", "once a second, until Ctrl-C"),
        .init("keelson top --interval 10s --count 6 --output json", "a minute, for programs"),
      ])
  ) { arguments, output in
    let access = try StoreAccess(arguments)
    let interval = arguments.durationNanoseconds("interval") ?? 1_000_000_000
    if !(200_000_000...3_600_000_000_000).contains(interval) { throw CommandError.usage("--interval must be from 200ms to 1h") }
    let terminal = Terminal.standardOutput
    let isScreen = terminal.isTerminal && output.mode == .table && !arguments.isGiven("count")
    let count = isScreen ? Int.max : arguments.integer("count") ?? 1
    var before = samples(access)
    for _ in 0..<count {
      usleep(useconds_t(clamping: interval / 1000))
      let now = samples(access)
      let figures = figures(before, now)
      before = now
      switch output.mode {
      case .json: if !terminal.write(figures.json.text(indented: count == 1) + "\n") { return .success }
      case .table:
        // What no longer fits is not shown: the figures are about now.
        let text = (isScreen ? "\u{1b}[H\u{1b}[2J" : "") + figures.text(terminal.style) + (isScreen || count == 1 ? "" : "\n")
        if !terminal.write(text) { return .success }
      }
    }
    return .success
  }

  private typealias Sample = (node: String, sample: Result<NodeSample, LiveFigures.Trouble>)

  private static func figures(_ before: [Sample], _ now: [Sample]) -> LiveFigures {
    LiveFigures(
      now.map { node, sample in
        let old = before.first { $0.node == node }.flatMap { try? $0.sample.get() }
        switch sample {
        case .success(let new): return (node: node, sample: .success((before: old, now: new)))
        case .failure(let trouble): return (node: node, sample: .failure(trouble))
        }
      })
  }

  /// What all nodes say now; asked at the same time, so that one that does not answer delays nobody twice.
  private static func samples(_ access: StoreAccess) -> [Sample] {
    let nodes: [NodeView]
    let statuses: [String: String]
    do {
      let cluster = try access.cluster()
      nodes = NodeView.all(in: cluster)
      statuses = Dictionary(uniqueKeysWithValues: nodes.compactMap { node in cluster.node(node.name)?.metrics.map { (node.name, $0) } })
    } catch {
      return [("the state store", .failure(.init("could not be read: \(error)")))]
    }
    let found = Mutex<[Sample]>([])
    // Threads, since each may wait: so many that some silent nodes do not hold up the others.
    let next = Atomic(0)
    let group = DispatchGroup()
    for _ in 0..<min(nodes.count, 32) {
      group.enter()
      PlainThread.start(name: "keelson-top") {
        while true {
          let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
          if index >= nodes.count { break }
          let sample = sample(of: nodes[index], at: statuses[nodes[index].name])
          found.withLock { $0.append((nodes[index].name, sample)) }
        }
        group.leave()
      }
    }
    group.wait()
    return found.withLock { $0 }.sorted { $0.node < $1.node }
  }

  private static func sample(of node: NodeView, at place: String?) -> Result<NodeSample, LiveFigures.Trouble> {
    if node.state != "ready" && node.state != "stopping" { return .failure(.init("it is \(node.state)")) }
    guard let place else { return .failure(.init("it serves no metrics (keelson node --metrics)")) }
    guard let address = SocketAddress(place) else { return .failure(.init("it names no address for its metrics: \(place)")) }
    do {
      return .success(try NodeSample(MetricsReader.page(at: address, timeoutNanoseconds: answerNanoseconds)))
    } catch {
      return .failure(.init("\(error)"))
    }
  }
}
