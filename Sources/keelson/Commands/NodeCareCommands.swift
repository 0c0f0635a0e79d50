import Console
import Control

extension Command {
  private static let nodeName = PositionalDeclaration("NAME", help: "the node")

  static let nodeCordon = Command(
    CommandDeclaration(
      ["node", "cordon"], summary: "place nothing new on a node", details: "What is there stays and is served.",
      positionals: [nodeName], options: StoreAccess.options,
      examples: [.init("keelson node cordon node-2", "before its disks are looked at")])
  ) { arguments, output in
    let spec = try update(arguments) { $0.isCordoned = true }
    output.write(json: spec.json) { _ in "node \(spec.name) is cordoned: nothing new is placed on it\n" }
    return .success
  }

  static let nodeUncordon = Command(
    CommandDeclaration(
      ["node", "uncordon"], summary: "place new replicas and nexuses on a node again, and end its draining",
      positionals: [nodeName], options: StoreAccess.options,
      examples: [.init("keelson node uncordon node-2", "when it is back from maintenance")])
  ) { arguments, output in
    let spec = try update(arguments) {
      $0.isCordoned = false
      $0.isDraining = false
    }
    output.write(json: spec.json) { _ in "node \(spec.name) may be used again\n" }
    return .success
  }

  static let nodeLabel = Command(
    CommandDeclaration(
      ["node", "label"], summary: "say where a node stands, for placement",
      details: "These are stronger than what the node was told with --topology. KEY- takes a label back.",
      positionals: [nodeName, PositionalDeclaration("LABEL", .repeated, help: "KEY=VALUE, or KEY- to take it back")],
      options: StoreAccess.options,
      examples: [
        .init("keelson node label node-2 zone=b rack=r7", "volumes with --spread zone use it"),
        .init("keelson node label node-2 rack-", "takes the label back"),
      ])
  ) { arguments, output in
    let texts = arguments.repeatedPositionals("LABEL")
    let removed = texts.filter { $0.hasSuffix("-") && !$0.contains("=") }.map { String($0.dropLast()) }
    let added = try labels(texts.filter { !($0.hasSuffix("-") && !$0.contains("=")) })
    let spec = try update(arguments) { spec in
      for key in removed { spec.labels[key] = nil }
      spec.labels.merge(added) { $1 }
    }
    output.write(json: spec.json) { _ in
      "node \(spec.name) has \(spec.labels.isEmpty ? "no labels" : "labels \(Labels.text(spec.labels))") by command\n"
    }
    return .success
  }

  static let nodeDrain = Command(
    CommandDeclaration(
      ["node", "drain"], summary: "move everything off a node: replicas and nexuses",
      details: """
        Each replica is first made anew on another node and then deleted here; no volume ever has fewer copies than before.
        The node stays cordoned until 'keelson node uncordon'.
        """,
      positionals: [nodeName],
      options: [OptionDeclaration("watch", .flag, help: "show how far it is, until nothing is left")] + StoreAccess.options,
      examples: [
        .init("keelson node drain node-2", "returns at once; see it with: keelson node list"),
        .init("keelson node drain node-2 --watch", "waits until the node can be taken away"),
      ])
  ) { arguments, output in
    let access = try StoreAccess(arguments)
    let name = arguments.positional("NAME") ?? ""
    let spec = try NodeRequests.update(name: name, in: access.store) {
      $0.isCordoned = true
      $0.isDraining = true
    }
    if !arguments.flag("watch") {
      let drain = DrainView(node: name, in: try access.cluster())
      output.write(json: drain.json) { _ in "node \(spec.name) is being drained: \(drain.text)\n" }
      return .success
    }
    var progress = ProgressLine()
    var last: DrainView?
    while true {
      let result = try access.wait(nanoseconds: 3_600_000_000_000) { cluster -> DrainView? in
        let drain = DrainView(node: name, in: cluster)
        if drain != last, output.mode == .json, !drain.isDone { Terminal.standardOutput.write(drain.json.text() + "\n") }
        last = drain
        if cluster.nodeSpec(name)?.isDraining != true {
          throw CommandError("drain_ended", "node \(name) is no longer being drained: \(drain.text)", hint: "Somebody uncordoned it.")
        }
        progress.show("node \(name): \(drain.text)")
        return drain.isDone ? drain : nil
      }
      guard let result else { continue }
      progress.clear()
      output.write(json: result.json) { _ in "node \(name) is empty\n" }
      return .success
    }
  }

  private static func update(_ arguments: ParsedArguments, _ change: (inout NodeSpec) -> Void) throws -> NodeSpec {
    try NodeRequests.update(name: arguments.positional("NAME") ?? "", in: StoreAccess(arguments).store, change)
  }
}

extension NodeSpec {
  var json: JSONValue {
    [
      "name": .string(name), "cordoned": .bool(isCordoned), "draining": .bool(isDraining),
      "labels": .object(labels.sorted { $0.key < $1.key }.map { .init($0.key, .string($0.value)) }),
    ]
  }
}

/// What is still on a node that is being drained.
struct DrainView: Equatable {
  let node: String
  /// Of volumes that are not being deleted.
  let replicaCount: Int
  let nexusCount: Int
  /// Why it does not get on, where that is known; one sentence per volume.
  let obstacles: [String]

  init(node: String, in cluster: ClusterState) {
    self.node = node
    let replicas = cluster.replicaAssignments.filter { $0.node == node }
    let nexuses = cluster.nexusAssignments.filter { $0.node == node }
    replicaCount = replicas.count
    nexusCount = nexuses.count
    let names = Set(replicas.map(\.object.volumeName) + nexuses.map(\.object.volumeName)).sorted()
    obstacles = names.compactMap { name in cluster.note(volumeName: name).map { "volume \(name): \($0.object.message)" } }
  }

  var isDone: Bool { replicaCount == 0 && nexusCount == 0 }

  var text: String {
    if isDone { return "nothing is left on it" }
    func counted(_ count: Int, _ one: String, _ many: String) -> String { "\(count) \(count == 1 ? one : many)" }
    let what = "\(counted(replicaCount, "replica", "replicas")) and \(counted(nexusCount, "nexus", "nexuses")) left"
    return obstacles.isEmpty ? what : what + " (\(obstacles.prefix(3).joined(separator: "; ")))"
  }

  var json: JSONValue {
    [
      "node": .string(node), "replicas": .integer(Int64(replicaCount)), "nexuses": .integer(Int64(nexusCount)),
      "obstacles": .array(obstacles.map { .string($0) }), "done": .bool(isDone),
    ]
  }
}
