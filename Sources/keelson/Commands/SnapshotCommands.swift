import Console
import Control
import Foundation

extension Command {
  static let snapshotCreate = Command(
    CommandDeclaration(
      ["snapshot", "create"], summary: "freeze the data of a volume under a name",
      details: """
        All replicas freeze the same moment: everything acknowledged before the command is in it. Writes wait meanwhile, for some
        milliseconds and never longer than 5 seconds. A snapshot takes no space until the volume changes.
        """,
      positionals: [
        PositionalDeclaration("VOLUME", help: "the volume"),
        PositionalDeclaration("NAME", help: "of the snapshot: lower-case letters, digits and hyphens, at most 63"),
      ],
      options: waitOptions + StoreAccess.options,
      examples: [
        .init("keelson snapshot create db before-upgrade", "what db holds now stays readable as before-upgrade"),
        .init("keelson snapshot create db nightly --no-wait", "only ask for it"),
      ])
  ) { arguments, output in
    let (volume, name) = (arguments.positional("VOLUME") ?? "", arguments.positional("NAME") ?? "")
    let access = try StoreAccess(arguments)
    if !arguments.flag("no-wait") { try access.requireRunning("create snapshot \(name)") }
    let spec = try SnapshotRequests.create(name: name, volume: volume, now: Date.now, in: access.store)
    if arguments.flag("no-wait") {
      let view = SnapshotView(spec, in: try access.cluster())
      output.write(json: view.json) { _ in "snapshot \(name) is asked for; see it with: keelson snapshot list\n" }
      return .success
    }
    let nanoseconds = arguments.durationNanoseconds("wait") ?? 0
    guard let view = try SnapshotRequests.waitUntilReady(spec.id, nanoseconds: nanoseconds, in: access.store) else {
      throw CommandError("snapshot_deleted", "snapshot \(name) was deleted while it was being taken")
    }
    guard view.state == .ready else {
      throw CommandError.timeout(
        "snapshot \(name) is not ready after \(TimeSpan.text(nanoseconds: nanoseconds)): \(view.message ?? view.state.rawValue)",
        hint: "It stays asked for. Give it up with: keelson snapshot delete \(name)")
    }
    output.write(json: view.json) { _ in "snapshot \(name) of volume \(volume) is ready, \(ByteSize.text(view.size ?? 0))\n" }
    return .success
  }

  static let snapshotList = Command(
    CommandDeclaration(
      ["snapshot", "list"], summary: "list the snapshots",
      options: [OptionDeclaration("volume", .text("NAME"), help: "only those of this volume")] + StoreAccess.options,
      examples: [
        .init("keelson snapshot list --volume db", "what there is to go back to"),
        .init("keelson snapshot list --output json", "for programs: [{name, id, volume, state, size, created_at, taken_at}]"),
      ])
  ) { arguments, output in
    var snapshots = SnapshotView.all(in: try StoreAccess(arguments).cluster()).filter { !$0.isHidden }
    if let volume = arguments.text("volume") { snapshots = snapshots.filter { $0.volume == volume } }
    output.write(json: .array(snapshots.map(\.json)), text: snapshots.text)
    return .success
  }

  static let snapshotDelete = Command(
    CommandDeclaration(
      ["snapshot", "delete"], summary: "delete a snapshot on all replicas",
      details: "Volumes that were made from it, its own volume and other snapshots stay as they are.",
      positionals: [PositionalDeclaration("NAME", help: "the snapshot")],
      options: waitOptions + StoreAccess.options,
      examples: [.init("keelson snapshot delete before-upgrade", "its space comes back in the background")])
  ) { arguments, output in
    let name = arguments.positional("NAME") ?? ""
    let access = try StoreAccess(arguments)
    if !arguments.flag("no-wait") { try access.requireRunning("delete snapshot \(name)") }
    let id = try SnapshotRequests.delete(name: name, in: access.store)
    let json: Console.JSONValue = ["name": .string(name), "id": .string("\(id)")]
    if arguments.flag("no-wait") {
      output.write(json: json) { _ in "snapshot \(name) is going\n" }
      return .success
    }
    let nanoseconds = arguments.durationNanoseconds("wait") ?? 0
    guard try SnapshotRequests.waitUntilGone(id, nanoseconds: nanoseconds, in: access.store) else {
      throw CommandError.timeout(
        "snapshot \(name) is not gone everywhere after \(TimeSpan.text(nanoseconds: nanoseconds))",
        hint: "It goes on being deleted; a replica that is away loses it when it comes back. See 'keelson snapshot list'.")
    }
    output.write(json: json) { _ in "snapshot \(name) is deleted\n" }
    return .success
  }

  static let volumeResize = Command(
    CommandDeclaration(
      ["volume", "resize"], summary: "make a volume larger while it is used",
      details: "Hosts that are connected are told of the new size. A volume cannot be made smaller.",
      positionals: [
        PositionalDeclaration("NAME", help: "the volume"), PositionalDeclaration("SIZE", help: "its new size, in steps of 1 MiB"),
      ],
      options: waitOptions + StoreAccess.options,
      examples: [
        .init("keelson volume resize db 20GiB", "then let the file system grow: resize2fs, xfs_growfs"),
        .init("keelson volume resize db 20GiB --no-wait", "only ask for it"),
      ])
  ) { arguments, output in
    let name = arguments.positional("NAME") ?? ""
    let text = arguments.positional("SIZE") ?? ""
    guard let size = try? ByteSize.parse(text) else {
      throw CommandError.usage("'\(text)' is not a size", hint: "Write a number and a unit: 20GiB, 512MiB.")
    }
    let access = try StoreAccess(arguments)
    if !arguments.flag("no-wait") { try access.requireRunning("resize volume \(name)") }
    let spec = try VolumeRequests.resize(name: name, sizeBytes: size, in: access.store)
    if arguments.flag("no-wait") {
      let view = VolumeView(spec, in: try access.cluster())
      output.write(json: view.json) { _ in "volume \(name) is to grow to \(ByteSize.text(size))\n" }
      return .success
    }
    let nanoseconds = arguments.durationNanoseconds("wait") ?? 0
    let isGrown = try VolumeRequests.waitUntilGrown(spec.id, sizeBytes: size, nanoseconds: nanoseconds, in: access.store)
    let view = VolumeView(spec, in: try access.cluster())
    guard isGrown else {
      throw CommandError.timeout(
        "volume \(name) has not grown after \(TimeSpan.text(nanoseconds: nanoseconds)): \(view.message ?? view.state.rawValue)",
        hint: "It stays asked for. See 'keelson volume show \(name)'.")
    }
    output.write(json: view.json) { _ in "volume \(name) has \(ByteSize.text(size))\n" }
    return .success
  }
}
