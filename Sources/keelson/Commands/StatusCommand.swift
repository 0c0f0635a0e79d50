import Console
import Control

extension Command {
  static let status = Command(
    CommandDeclaration(
      ["status"], summary: "show everything at a glance: nodes, pools, volumes, and what is wrong", options: StoreAccess.options,
      examples: [.init("keelson status", "the first thing to look at")])
  ) { arguments, output in
    let access = try StoreAccess(arguments)
    let overview = Overview(try access.cluster(), isDevRunning: access.directory.map { $0.runningProcess() != nil } ?? true)
    output.write(json: overview.json, text: overview.text)
    return .success
  }
}

/// The whole cluster in a few lines.
private struct Overview {
  let nodes: [NodeView]
  let pools: [PoolView]
  let volumes: [VolumeView]
  /// Under way.
  let rebuilds: [RebuildView]
  /// What needs attention, a sentence each.
  let problems: [String]

  init(_ cluster: ClusterState, isDevRunning: Bool) {
    nodes = NodeView.all(in: cluster)
    pools = PoolView.all(in: cluster)
    volumes = VolumeView.all(in: cluster)
    rebuilds = RebuildView.all(in: cluster).filter { !$0.rebuild.isOver }
    var problems: [String] = isDevRunning ? [] : ["keelson dev does not run: this is what it left"]
    for node in nodes where node.state != "ready" { problems.append("node \(node.name) is \(node.state)") }
    for node in nodes where node.isCordoned || node.isDraining {
      problems.append(
        "node \(node.name) is \(node.isDraining ? "being drained: \(DrainView(node: node.name, in: cluster).text)" : "cordoned")")
    }
    for (node, doubt) in cluster.doubts where !doubt.isOverruled(by: cluster.trust) { problems.append("node \(node): \(doubt.message)") }
    if !cluster.foundReplicas.isEmpty {
      problems.append(
        "\(cluster.foundReplicas.count) replica(s) in pools belong to nothing that the store knows: keelson recover --from-pools")
    }
    for pool in pools where pool.state == "faulted" {
      problems.append("pool \(pool.name) of \(pool.node) is faulted\(pool.message.map { ": \($0)" } ?? "")")
    }
    for pool in pools { if let errors = pool.errors { problems.append("pool \(pool.name) of \(pool.node): \(errors)") } }
    for volume in volumes where volume.state != .healthy {
      problems.append("volume \(volume.name) is \(volume.state.rawValue)\(volume.message.map { ": \($0)" } ?? "")")
    }
    problems += cluster.problems.map(\.description)
    self.problems = problems
  }

  var json: JSONValue {
    [
      "nodes": .array(nodes.map(\.json)), "pools": .array(pools.map(\.json)), "volumes": .array(volumes.map(\.json)),
      "rebuilds": .array(rebuilds.map(\.json)),
      "problems": .array(problems.map { .string($0) }),
    ]
  }

  func text(_ style: TextStyle) -> String {
    let ready = nodes.filter { $0.state == "ready" }.count
    let usable = pools.filter { $0.state == "ready" }
    let free = ByteSize.text(usable.reduce(0) { $0 + $1.free })
    let size = ByteSize.text(usable.reduce(0) { $0 + $1.size })
    let healthy = volumes.filter { $0.state == .healthy }.count
    var text = "nodes    \(ready) of \(nodes.count) ready\n"
    text += "pools    \(usable.count) of \(pools.count) ready, \(free) of \(size) free\n"
    text += "volumes  \(healthy) of \(volumes.count) healthy\n"
    if !nodes.isEmpty { text += "\n" + nodes.text(style) }
    if !pools.isEmpty { text += "\n" + pools.text(style) }
    if !volumes.isEmpty { text += "\n" + volumes.text(style) }
    if !rebuilds.isEmpty { text += "\n" + rebuilds.text(style) }
    if problems.isEmpty { return text + "\n\(style.applied(.green, to: "All is well."))\n" }
    return text + "\n" + problems.map { "\(style.applied(.yellow, to: "!")) \(style.applied(.yellow, to: $0))\n" }.joined()
  }
}
