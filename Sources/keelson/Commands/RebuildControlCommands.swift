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
          help: "of a replica that answers far later than its peers: tell people, or let it leave the in-sync set where that is possible")
      ] + StoreAccess.options,
      examples: [.init("keelson volume set db --slow-replicas drop", "one slow disk does not slow down all writes")])
  ) { arguments, output in
    let name = arguments.positional("NAME") ?? ""
    guard let text = arguments.text("slow-replicas"), let policy = SlowReplicaPolicy(rawValue: text) else {
      throw CommandError.usage("nothing is to be changed", hint: "Give --slow-replicas report or drop.")
    }
    let access = try StoreAccess(arguments)
    try VolumeRequests.change(name: name, in: access.store) { $0.slowReplicas = policy }
    output.write(json: ["volume": .string(name), "slow_replicas": .string(text)]) { _ in
      "volume \(name): slow replicas are \(policy == .drop ? "dropped" : "reported")\n"
    }
    return .success
  }
}
