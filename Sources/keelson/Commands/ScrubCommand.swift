import Console
import Control

extension Command {
  static let volumeScrub = Command(
    CommandDeclaration(
      ["volume", "scrub"], summary: "compare all copies of a volume and repair what is certain",
      details: """
        Every allocated block is compared on all replicas, as fast as hosts can bear. A block that cannot be read, or differs from the
        majority of three, is written anew. Two copies that differ, where neither has a checksum that fails, are told and left alone until
        --trust says whose bytes are right. The command returns when the scrub is asked for; --watch stays until it is over.
        """,
      positionals: [PositionalDeclaration("NAME", help: "the volume")],
      options: [
        OptionDeclaration("trust", .text("NODE"), help: "where no majority says which copy is right, take the one on this node"),
        OptionDeclaration("stop", .flag, help: "end the scrub that is under way"),
        OptionDeclaration("watch", .flag, help: "show how far it is, until it is over; status 1 if blocks differ that nobody can repair"),
        OptionDeclaration("wait", .duration, defaultText: "24h", help: "how long --watch stays at most"),
      ] + StoreAccess.options,
      examples: [
        .init("keelson volume scrub db --watch", "compare now, and see what is found"),
        .init("keelson volume scrub db --trust node-1", "repair from node-1 what two copies do not agree on"),
        .init("keelson volume scrub db --stop", "no further"),
      ])
  ) { arguments, output in
    let name = arguments.positional("NAME") ?? ""
    let access = try StoreAccess(arguments)
    let view = try volume(name, in: try access.cluster())
    let request: ScrubRequest
    if arguments.flag("stop") {
      guard let stopped = try VolumeRequests.stopScrub(name: name, in: access.store) else {
        throw CommandError("no_scrub", "volume \(name) has no scrub to stop", hint: "Begin one with: keelson volume scrub \(name)")
      }
      request = stopped
    } else {
      let trusted = try arguments.text("trust").map { try replica(of: view, on: $0).id }
      request = try VolumeRequests.scrub(
        name: name, trusting: trusted, isUnderWay: { id in view.scrub.map { $0.id == id && !$0.isOver } ?? true }, in: access.store)
    }
    guard arguments.flag("watch") else {
      let word = arguments.flag("stop") ? "ends" : "is asked for"
      output.write(json: ["volume": .string(name), "scrub": .string(request.id.uuidString.lowercased())]) { _ in
        "a scrub of volume \(name) \(word); see it with: keelson volume show \(name)\n"
      }
      return .success
    }
    try access.requireRunning("scrub volume \(name)")
    var progress = ProgressLine()
    let nanoseconds = arguments.durationNanoseconds("wait") ?? 0
    let ended = try access.wait(nanoseconds: nanoseconds) { cluster -> ScrubStatus? in
      let view = try volume(name, in: cluster)
      guard let scrub = view.scrub, scrub.id == request.id else {
        progress.show("volume \(name): the scrub has not begun; the volume is \(view.state.rawValue)")
        return nil
      }
      if scrub.isOver { return scrub }
      progress.show("volume \(name): \(scrub.line)")
      return nil
    }
    progress.clear()
    guard let ended else {
      throw CommandError.timeout(
        "the scrub of volume \(name) is not over after \(TimeSpan.text(nanoseconds: nanoseconds))",
        hint: "It goes on. Look again with: keelson volume scrub \(name) --watch")
    }
    output.write(json: ended.json) { style in "volume \(style.applied(.bold, to: name)): \(ended.text)" }
    return ended.state == .done && ended.unresolvedBlocks == 0 ? .success : .failed
  }

  /// The volume's replica on a node, or the one of that identifier.
  static func replica(of volume: VolumeView, on place: String) throws(CommandError) -> VolumeView.Replica {
    let found = volume.replicas.filter { $0.node == place || "\($0.id)" == place.lowercased() }
    guard let replica = found.first else {
      throw CommandError(
        "replica_not_found", "volume \(volume.name) has no replica on \(place)",
        hint: "It has replicas on \(volume.replicas.map(\.node).joined(separator: ", ")).")
    }
    if found.count > 1 {
      throw CommandError(
        "replica_ambiguous", "volume \(volume.name) has \(found.count) replicas on \(place)", hint: "Give the replica's identifier.")
    }
    return replica
  }
}

extension ScrubStatus {
  /// How far it is.
  var line: String {
    "scrub: \(Int(fraction * 100)) % of \(ByteSize.text(bytesToDo)), \(differingBlocks) blocks differ, \(repairedBlocks) repaired"
  }

  /// How it ended, in sentences.
  var text: String {
    let found =
      differingBlocks == 0
      ? "all copies are the same" : "\(differingBlocks) blocks of 4 KiB differed, \(repairedBlocks) of them are repaired"
    var text: String
    switch state {
    case .running: text = line + "\n"
    case .done: text = "\(ByteSize.text(bytesToDo)) were compared: \(found)\n"
    case .stopped: text = "the scrub was stopped after \(ByteSize.text(bytesDone)) of \(ByteSize.text(bytesToDo)): \(found)\n"
    case .failed: text = "the scrub failed (\(failure ?? "?")) after \(ByteSize.text(bytesDone)): \(found)\n"
    }
    if unresolvedBlocks > 0 {
      let places = unresolved.prefix(8).map { "\($0)" }.joined(separator: ", ")
      text += "Nobody can tell which copy of \(unresolvedBlocks) blocks is right; nothing was changed there. They begin at bytes "
      text += places + (unresolvedBlocks > 8 ? ", ...\n" : "\n")
      text += "Say whose bytes are to be taken with: keelson volume scrub NAME --trust NODE\n"
    }
    return text
  }

  var json: JSONValue {
    var members: [JSONValue.Member] = [
      .init("id", .string(id.uuidString.lowercased())), .init("state", .string(state.rawValue)),
      .init("bytes_to_do", .unsigned(bytesToDo)), .init("bytes_done", .unsigned(bytesDone)),
      .init("differing_blocks", .unsigned(differingBlocks)), .init("repaired_blocks", .unsigned(repairedBlocks)),
      .init("unresolved_blocks", .unsigned(unresolvedBlocks)), .init("unresolved", .array(unresolved.map { .unsigned($0) })),
      .init("started_at", .string(startedAt.formatted(.iso8601))),
    ]
    if let endedAt { members.append(.init("ended_at", .string(endedAt.formatted(.iso8601)))) }
    if let failure { members.append(.init("failure", .string(failure))) }
    return .object(members)
  }
}
