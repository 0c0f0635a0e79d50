import Console
import Control

extension Command {
  static let rebuildPause = Command(
    CommandDeclaration(
      ["rebuild", "pause"], summary: "copy nothing to the replicas of a volume until 'rebuild resume'",
      details: "Replicas on their way back go on getting every write of hosts; what they missed is copied after 'rebuild resume'.",
      positionals: [PositionalDeclaration("VOLUME", help: "the volume")], options: StoreAccess.options,
      examples: [.init("keelson rebuild pause db", "all bandwidth for hosts, for now")])
  ) { arguments, output in
    try setRebuilds(arguments, output, "are paused; go on with: keelson rebuild resume") { $0.isPaused = true }
  }

  static let rebuildResume = Command(
    CommandDeclaration(
      ["rebuild", "resume"], summary: "go on after 'rebuild pause'", positionals: [PositionalDeclaration("VOLUME", help: "the volume")],
      options: StoreAccess.options, examples: [.init("keelson rebuild resume db", "what is missing is copied again")])
  ) { arguments, output in
    try setRebuilds(arguments, output, "go on; see them with: keelson rebuild list --volume") { $0.isPaused = false }
  }

  static let rebuildThrottle = Command(
    CommandDeclaration(
      ["rebuild", "throttle"], summary: "limit how much rebuilds and scrubs of a volume copy per second",
      details: "They give way to hosts in any case; this is a limit beside that.",
      positionals: [PositionalDeclaration("VOLUME", help: "the volume")],
      options: [
        OptionDeclaration("bandwidth", .size, defaultText: "0", help: "bytes per second; 0 for no limit")
      ] + StoreAccess.options,
      examples: [
        .init("keelson rebuild throttle db --bandwidth 100MiB", "at most 100 MiB per second"),
        .init("keelson rebuild throttle db", "no limit"),
      ])
  ) { arguments, output in
    let bytes = arguments.sizeBytes("bandwidth") ?? 0
    let what =
      bytes == 0
      ? "have no limit of bandwidth; they are shown by: keelson rebuild list --volume"
      : "copy at most \(ByteSize.text(bytes)) per second; see them with: keelson rebuild list --volume"
    return try setRebuilds(arguments, output, what) { $0.bytesPerSecond = bytes == 0 ? nil : bytes }
  }

  private static func setRebuilds(
    _ arguments: ParsedArguments, _ output: CommandOutput, _ outcome: String, _ body: (inout RebuildPolicy) -> Void
  ) throws -> ExitStatus {
    let name = arguments.positional("VOLUME") ?? ""
    let access = try StoreAccess(arguments)
    try VolumeRequests.setRebuilds(of: name, in: access.store, body)
    let policy = try access.store.object(VolumeSpec.self, at: Keys.volumeSpec(name: name))?.object.rebuild ?? RebuildPolicy()
    output.write(
      json: [
        "volume": .string(name), "paused": .bool(policy.isPaused),
        "bytes_per_second": policy.bytesPerSecond.map { .unsigned($0) } ?? .null,
      ]) { _ in "rebuilds of volume \(name) \(outcome) \(name)\n" }
    return .success
  }

  static let volumeSet = Command(
    CommandDeclaration(
      ["volume", "set"], summary: "change what is asked of a volume",
      positionals: [PositionalDeclaration("NAME", help: "the volume")],
      options: [
        OptionDeclaration(
          "slow-replicas", .choice(SlowReplicaPolicy.allCases.map(\.rawValue)),
          help: "of a replica that answers far later than its peers: tell people, or let it leave the in-sync set where that is possible"),
        OptionDeclaration("replicas", .integer(1...VolumeSpec.maximumReplicaCount), help: "on how many nodes each block lies from now on"),
      ] + StoreAccess.options,
      examples: [
        .init("keelson volume set db --slow-replicas drop", "one slow disk does not slow down all writes"),
        .init("keelson volume set db --replicas 3", "while it is served; see how far it is with: keelson rebuild list --watch"),
      ])
  ) { arguments, output in
    let name = arguments.positional("NAME") ?? ""
    let policy = arguments.text("slow-replicas").flatMap(SlowReplicaPolicy.init(rawValue:))
    let count = arguments.integer("replicas")
    if policy == nil && count == nil {
      throw CommandError.usage("nothing is to be changed", hint: "Give --replicas N, or --slow-replicas report or drop.")
    }
    let access = try StoreAccess(arguments)
    var members: [JSONValue.Member] = [.init("volume", .string(name))]
    var lines: [String] = []
    if let count {
      try VolumeRequests.setReplicaCount(name: name, count, in: access.store)
      members.append(.init("replicas", .integer(Int64(count))))
      lines.append("\(count) \(count == 1 ? "replica is" : "replicas are") asked for")
    }
    if let policy {
      try VolumeRequests.change(name: name, in: access.store) { $0.slowReplicas = policy }
      members.append(.init("slow_replicas", .string(policy.rawValue)))
      lines.append("slow replicas are \(policy == .drop ? "dropped" : "reported")")
    }
    output.write(json: .object(members)) { _ in "volume \(name): \(lines.joined(separator: "; "))\n" }
    return .success
  }
}
