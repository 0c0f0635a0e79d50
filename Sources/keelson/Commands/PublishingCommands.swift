import Console
import Control
import Foundation

/// Who may use a volume, and through which node.
extension Command {
  private static let volumeName = PositionalDeclaration("NAME", help: "the volume")

  static let volumePublish = Command(
    CommandDeclaration(
      ["volume", "publish"], summary: "let a host use a volume, and wait until it can",
      details: """
        Until it is published for the first time, a volume made beside keelson dev is open to any host; from then on, and always in a
        cluster, only to hosts that it is published to. The only writer of a volume loses it when another host gets it: its connections
        end and its commands are settled before this command returns.
        """,
      positionals: [volumeName],
      options: [
        OptionDeclaration("host", .text("NQN"), isRequired: true, help: "the host's name, as in /etc/nvme/hostnqn"),
        OptionDeclaration("node-name", .text("TEXT"), help: "what people call the host"),
        OptionDeclaration("read-only", .flag, help: "refuse its writes"),
        OptionDeclaration("shared", .flag, help: "other hosts may have the volume at the same time"),
        OptionDeclaration("refuse", .flag, help: "fail if another host is the volume's only writer, instead of taking it from there"),
      ] + waitOptions + StoreAccess.options,
      examples: [
        .init("keelson volume publish db --host nqn.2014-08.org.nvmexpress:uuid:...", "this host, and no other"),
        .init("keelson volume publish db --host nqn.2014-08.org.nvmexpress:uuid:... --read-only --shared", "one of many readers"),
      ])
  ) { arguments, output in
    let name = arguments.positional("NAME") ?? ""
    let publication = Publication(
      hostNQN: arguments.text("host") ?? "", nodeName: arguments.text("node-name"), readOnly: arguments.flag("read-only"),
      mode: arguments.flag("shared") ? .multiWriter : .singleWriter)
    let conflict = arguments.flag("refuse") ? VolumeRequests.Conflict.refuse : .fence
    let access = try StoreAccess(arguments)
    if arguments.flag("no-wait") {
      let spec = try VolumeRequests.publish(name: name, publication, onConflict: conflict, in: access.store)
      output.write(json: ["name": .string(name), "id": .string("\(spec.id)")]) { _ in "volume \(name) is being published\n" }
      return .success
    }
    try access.requireRunning("publish volume \(name)")
    let published = try VolumeRequests.publishWaiting(
      name: name, publication, onConflict: conflict, nanoseconds: arguments.durationNanoseconds("wait") ?? 0, in: access.store)
    output.write(json: published.json) { _ in
      var text = "volume \(name) is published to \(publication.hostNQN)\(publication.readOnly ? ", read-only" : "")\n"
      for path in published.paths {
        text += "  nvme connect --transport=tcp --traddr=\(path.address) --trsvcid=\(path.port) --nqn=\(published.subnqn)\n"
      }
      return text
    }
    return .success
  }

  static let volumeUnpublish = Command(
    CommandDeclaration(
      ["volume", "unpublish"], summary: "take a volume from a host, and wait until its last command is settled",
      positionals: [volumeName],
      options: [
        OptionDeclaration("host", .text("NQN"), help: "the host's name; default all hosts")
      ] + waitOptions + StoreAccess.options,
      examples: [
        .init("keelson volume unpublish db --host nqn.2014-08.org.nvmexpress:uuid:...", "this host may use it no more"),
        .init("keelson volume unpublish db", "nobody may"),
      ])
  ) { arguments, output in
    let name = arguments.positional("NAME") ?? ""
    let access = try StoreAccess(arguments)
    let isWaiting = !arguments.flag("no-wait")
    if isWaiting {
      try access.requireRunning("unpublish volume \(name)")
      try VolumeRequests.unpublishWaiting(
        name: name, hostNQN: arguments.text("host"), nanoseconds: arguments.durationNanoseconds("wait") ?? 0, in: access.store)
    } else {
      try VolumeRequests.unpublish(name: name, hostNQN: arguments.text("host"), in: access.store)
    }
    output.write(json: ["name": .string(name)]) { _ in
      "volume \(name) is \(isWaiting ? "unpublished" : "being unpublished") from \(arguments.text("host") ?? "all hosts")\n"
    }
    return .success
  }

  static let volumeMove = Command(
    CommandDeclaration(
      ["volume", "move"], summary: "serve a volume through another node, and wait until it does",
      details: """
        The node must hold an in-sync replica of the volume. Hosts that are connected to it too, as with Linux's multipath, see a short pause.
        While the node cannot take over the wish stands, and ends when it has: the volume does not come back to it later by itself.
        """,
      positionals: [volumeName, PositionalDeclaration("NODE", help: "the node; 'any' takes the wish back")],
      options: waitOptions + StoreAccess.options,
      examples: [
        .init("keelson volume move db node-2", "its nexus moves to node-2"),
        .init("keelson volume move db any", "it stays where it is after all"),
      ])
  ) { arguments, output in
    let name = arguments.positional("NAME") ?? ""
    let node = arguments.positional("NODE") ?? ""
    let access = try StoreAccess(arguments)
    try VolumeRequests.move(name: name, toNode: node == "any" ? nil : node, in: access.store)
    if node != "any", !arguments.flag("no-wait") {
      try access.requireRunning("move volume \(name)")
      try VolumeRequests.awaitMove(
        name: name, toNode: node, nanoseconds: arguments.durationNanoseconds("wait") ?? 0, in: access.store)
    }
    let view = try volume(name, in: try access.cluster())
    output.write(json: view.json, text: view.text)
    return .success
  }
}
