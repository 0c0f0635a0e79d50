import Console
import Control

extension Command {
  static let nodeList = Command(
    CommandDeclaration(
      ["node", "list"], summary: "list the nodes", options: StoreAccess.options,
      examples: [.init("keelson node list --output json", "for programs: [{name, pid, state, addresses}]")])
  ) { arguments, output in
    let nodes = NodeView.all(in: try StoreAccess(arguments).cluster())
    output.write(json: .array(nodes.map(\.json)), text: nodes.text)
    return .success
  }

  static let poolList = Command(
    CommandDeclaration(
      ["pool", "list"], summary: "list the pools of all nodes",
      details: """
        ALLOCATED is what replicas and snapshots have taken, PROMISED the sizes of all replicas together: thin replicas take space
        as they are written. OVER-COMMIT is how much of its size a pool may promise.
        """, options: StoreAccess.options,
      examples: [.init("keelson pool list", "where there is room for replicas")])
  ) { arguments, output in
    let pools = PoolView.all(in: try StoreAccess(arguments).cluster())
    output.write(json: .array(pools.map(\.json)), text: pools.text)
    return .success
  }

  static let replicaList = Command(
    CommandDeclaration(
      ["replica", "list"], summary: "list the replicas of all volumes", options: StoreAccess.options,
      examples: [.init("keelson replica list", "which node holds what, and whether it is in sync")])
  ) { arguments, output in
    let replicas = ReplicaView.all(in: try StoreAccess(arguments).cluster())
    output.write(json: .array(replicas.map(\.json)), text: replicas.text)
    return .success
  }

  static let volumeList = Command(
    CommandDeclaration(
      ["volume", "list"], summary: "list the volumes", options: StoreAccess.options,
      examples: [.init("keelson volume list --output json", "for programs: a list of what volume show says")])
  ) { arguments, output in
    let volumes = VolumeView.all(in: try StoreAccess(arguments).cluster())
    output.write(json: .array(volumes.map(\.json)), text: volumes.text)
    return .success
  }

  static let volumeShow = Command(
    CommandDeclaration(
      ["volume", "show"], summary: "show one volume, its replicas and the ways to it",
      positionals: [PositionalDeclaration("NAME", help: "the volume")], options: StoreAccess.options,
      examples: [.init("keelson volume show db", "with the nvme connect line for a Linux host")])
  ) { arguments, output in
    let volume = try Self.volume(arguments.positional("NAME") ?? "", in: try StoreAccess(arguments).cluster())
    output.write(json: volume.json, text: volume.text)
    return .success
  }

  /// The volume of that name, or the error that there is none.
  static func volume(_ name: String, in cluster: ClusterState) throws(CommandError) -> VolumeView {
    if let spec = cluster.volume(name: name) { return VolumeView(spec.object, in: cluster) }
    let key = Keys.volumeSpec(name: name)
    for case .malformed(key, _, _) in cluster.problems {
      throw CommandError("store_object_unreadable", "the specification of volume \(name) in the store cannot be read")
    }
    throw .volumeNotFound(name)
  }
}
