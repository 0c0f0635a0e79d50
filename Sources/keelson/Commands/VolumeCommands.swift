import Console
import Control
import Foundation

extension Command {
  static let waitOptions = [
    OptionDeclaration("wait", .duration, defaultText: "60s", help: "how long to wait until it is true"),
    OptionDeclaration("no-wait", .flag, help: "return as soon as the request is written down"),
  ]

  static let volumeCreate = Command(
    CommandDeclaration(
      ["volume", "create"], summary: "create a volume and wait until it is served from all its replicas",
      positionals: [PositionalDeclaration("NAME", help: "lower-case letters, digits and hyphens, at most 63")],
      options: [
        OptionDeclaration("size", .size, help: "its size, in steps of 1 MiB; of a clone, that of its source unless it is to be larger"),
        OptionDeclaration(
          "replicas", .integer(1...VolumeSpec.maximumReplicaCount), defaultText: "2", help: "on how many nodes each block lies"),
        OptionDeclaration(
          "block-size", .choice(["512", "4096"]), defaultText: "512", help: "bytes per logical block, as hosts see it"),
        OptionDeclaration("from-snapshot", .text("NAME"), help: "begin with the data of this snapshot, sharing its space"),
        OptionDeclaration("from-volume", .text("NAME"), help: "begin with the data that this volume has now, sharing its space"),
        OptionDeclaration(
          "slow-replicas", .choice(SlowReplicaPolicy.allCases.map(\.rawValue)), defaultText: "report",
          help: "a replica far slower than its peers: tell people, or let it leave the in-sync set"),
        OptionDeclaration(
          "access", .choice(["any", "published"]),
          help: "who may connect: any host until the volume is published (the default beside keelson dev), or published hosts alone"),
        OptionDeclaration("thick", .flag, help: "take all of its space now, instead of as it is written; that takes time"),
      ] + placementOptions + waitOptions + StoreAccess.options,
      examples: [
        .init("keelson volume create db --size 1GiB --replicas 2", "every write is on two nodes before it is acknowledged"),
        .init("keelson volume create scratch --size 10GiB --replicas 1 --block-size 4096", "one copy, blocks of 4 KiB"),
        .init("keelson volume create log --size 5GiB --thick --wait 5m", "its writes never find a pool full"),
        .init("keelson volume create db-test --from-snapshot before-upgrade", "as many replicas as the snapshot's volume has"),
        .init("keelson volume create db-copy --from-volume db --size 20GiB", "a copy of db as it is now, with room to grow"),
        .init(
          "keelson volume create pg-0 --size 8GiB --spread zone --affinity disk=ssd --group pg",
          "apart from pg-1, each copy in another zone"),
      ])
  ) { arguments, output in
    let name = arguments.positional("NAME") ?? ""
    var spec = VolumeSpec(
      name: name, sizeBytes: arguments.sizeBytes("size") ?? 0, replicaCount: arguments.integer("replicas") ?? 2,
      blockSizeBytes: arguments.text("block-size") == "4096" ? 4096 : 512, isThick: arguments.flag("thick"), createdAt: Date.now)
    try readPlacement(arguments, into: &spec)
    if arguments.text("slow-replicas") == "drop" { spec.slowReplicas = .drop }
    let source = try cloneSource(arguments)
    if source == nil {
      if !arguments.isGiven("size") {
        throw CommandError.usage("'volume create' needs --size SIZE, or a source to clone", hint: "See 'keelson volume create --help'.")
      }
      try spec.validate()
    }
    let access = try StoreAccess(arguments)
    if arguments.text("access").map({ $0 == "published" }) ?? access.isCluster { spec.publications = [] }
    if !arguments.flag("no-wait") { try access.requireRunning("create volume \(name)") }
    if let source {
      spec = try clone(spec, source, keepsReplicaCount: arguments.isGiven("replicas"), access)
    } else {
      try refuseIfTooLarge(spec, in: try access.cluster())
      try VolumeRequests.create(spec, in: access.store)
    }
    if arguments.flag("no-wait") {
      let volume = VolumeView(spec, in: try access.cluster())
      output.write(json: volume.json) { _ in "volume \(name) is asked for; see it with: keelson volume show \(name)\n" }
      return .success
    }
    let nanoseconds = arguments.durationNanoseconds("wait") ?? 0
    var progress = ProgressLine()
    var last: VolumeView?
    let volume = try access.wait(nanoseconds: nanoseconds) { cluster -> VolumeView? in
      guard let current = cluster.volume(name: name), current.object.id == spec.id, !current.object.deleting else {
        throw CommandError("volume_deleted", "volume \(name) was deleted while it was being created")
      }
      let view = VolumeView(current.object, in: cluster)
      last = view
      if view.state == .healthy { return view }
      progress.show("volume \(name): \(view.message ?? view.state.rawValue)")
      return nil
    }
    progress.clear()
    guard let volume else {
      let reason = last.map { $0.message ?? $0.state.rawValue } ?? "nothing was heard of it"
      throw CommandError.timeout(
        "volume \(name) is not ready after \(TimeSpan.text(nanoseconds: nanoseconds)): \(reason)",
        hint: "It stays asked for. See 'keelson status'; give it up with: keelson volume delete \(name) --force")
    }
    output.write(json: volume.json, text: volume.text)
    return .success
  }

  private enum CloneSource {
    case snapshot(String)
    case volume(String)
  }

  private static func cloneSource(_ arguments: ParsedArguments) throws(CommandError) -> CloneSource? {
    switch (arguments.text("from-snapshot"), arguments.text("from-volume")) {
    case (nil, nil): return nil
    case (let snapshot?, nil): return .snapshot(snapshot)
    case (nil, let volume?): return .volume(volume)
    case (_?, _?): throw .usage("--from-snapshot and --from-volume both name a source", hint: "Give one of them.")
    }
  }

  /// Asks for a clone, with as many replicas as the source's volume has unless told otherwise.
  private static func clone(
    _ spec: VolumeSpec, _ source: CloneSource, keepsReplicaCount: Bool, _ access: StoreAccess
  ) throws -> VolumeSpec {
    var spec = spec
    let cluster = try access.cluster()
    switch source {
    case .snapshot(let name):
      if !keepsReplicaCount, let volume = cluster.snapshot(name: name).flatMap({ cluster.volume(name: $0.object.volumeName) }) {
        spec.replicaCount = volume.object.replicaCount
      }
      return try VolumeRequests.create(spec, fromSnapshot: name, in: access.store)
    case .volume(let name):
      if !keepsReplicaCount, let volume = cluster.volume(name: name) { spec.replicaCount = volume.object.replicaCount }
      return try VolumeRequests.create(spec, fromVolume: name, in: access.store)
    }
  }

  /// Throws if no pools have room for the volume, whatever nodes come back: waiting would be in vain.
  private static func refuseIfTooLarge(_ spec: VolumeSpec, in cluster: ClusterState) throws(CommandError) {
    // That there is one already is the better answer.
    if cluster.volume(name: spec.name) != nil { return }
    guard
      let reason = Placement.capacityRefusal(Placement.Request(spec), nodes: cluster.placementNodes(group: spec.group))
    else { return }
    throw CommandError(
      "no_capacity", "volume \(spec.name) cannot be placed: it \(reason)",
      hint: "Delete volumes, make pools larger (keelson pool grow), or add some; 'keelson pool list' shows what is promised.")
  }

  static let volumeDelete = Command(
    CommandDeclaration(
      ["volume", "delete"], summary: "delete a volume and all its data",
      details: """
        This destroys the data of the volume on all nodes, whether or not a host uses it.
        On a terminal the command asks for the volume's name again; elsewhere it needs --force.
        """,
      positionals: [PositionalDeclaration("NAME", help: "the volume")],
      options: [OptionDeclaration("force", .flag, help: "delete without asking")] + waitOptions + StoreAccess.options,
      examples: [
        .init("keelson volume delete db", "asks before it destroys data"),
        .init("keelson volume delete db --force --wait 2m", "for scripts"),
      ])
  ) { arguments, output in
    let name = arguments.positional("NAME") ?? ""
    try Names.validate(name, kind: "volume name")
    let access = try StoreAccess(arguments)
    let view = try volume(name, in: try access.cluster())
    if !arguments.flag("force") { try confirm(deletionOf: view) }
    if !arguments.flag("no-wait") { try access.requireRunning("delete volume \(name)") }
    let id = try VolumeRequests.delete(name: name, in: access.store)
    let json: JSONValue = ["name": .string(name), "id": .string("\(id)")]
    if arguments.flag("no-wait") {
      output.write(json: json) { _ in "volume \(name) is going\n" }
      return .success
    }
    let nanoseconds = arguments.durationNanoseconds("wait") ?? 0
    var progress = ProgressLine()
    var reason = "nothing was heard of it"
    let isGone = try access.wait(nanoseconds: nanoseconds) { cluster -> Bool? in
      guard let current = cluster.volume(name: name), current.object.id == id else { return true }
      reason = VolumeView(current.object, in: cluster).message ?? reason
      progress.show("volume \(name): \(reason)")
      return nil
    }
    progress.clear()
    if isGone == nil {
      throw CommandError.timeout(
        "volume \(name) is not gone after \(TimeSpan.text(nanoseconds: nanoseconds)): \(reason)",
        hint: "It goes on being deleted; a node that is down deletes its replica when it comes back. See 'keelson status'.")
    }
    output.write(json: json) { _ in "volume \(name) is deleted\n" }
    return .success
  }

  private static func confirm(deletionOf volume: VolumeView) throws(CommandError) {
    guard isatty(STDIN_FILENO) == 1, Terminal.standardError.isTerminal else {
      throw CommandError(
        "force_needed", "deleting volume \(volume.name) destroys \(ByteSize.text(volume.size)) of data, and --force was not given",
        hint: "Add --force.")
    }
    Terminal.standardError.write(
      "This destroys \(ByteSize.text(volume.size)) of data on all replicas. Type the name of the volume to go on: ")
    if readLine() != volume.name { throw CommandError("not_confirmed", "volume \(volume.name) was not deleted: its name was not typed") }
  }
}
