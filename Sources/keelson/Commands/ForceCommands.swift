import Console
import Control
import Foundation

extension Command {
  static let volumeForce = Command(
    CommandDeclaration(
      ["volume", "force"], summary: "go on from one replica, where only an operator can decide",
      details: """
        For a volume that waits for replicas which never come back. It goes on from the replica that is named, with what that one holds.
        Without --force the command only says what may be lost. Replicas that are left behind are kept as they are, and used by nobody,
        until 'keelson replica discard' gives them up. Make sure first that no node that cannot be reached serves the volume still.
        """,
      positionals: [PositionalDeclaration("NAME", help: "the volume")],
      options: [
        OptionDeclaration("replica", .text("NODE"), help: "go on from the replica on this node; default the only one that can be used"),
        OptionDeclaration("force", .flag, help: "do it"),
        OptionDeclaration("wait", .duration, defaultText: "60s", help: "how long to wait until it is done"),
      ] + StoreAccess.options,
      examples: [
        .init("keelson volume force db", "what would be lost, and from which replica it would go on"),
        .init("keelson volume force db --replica node-1 --force", "do it"),
      ])
  ) { arguments, output in
    let name = arguments.positional("NAME") ?? ""
    let access = try StoreAccess(arguments)
    let cluster = try access.cluster()
    let view = try volume(name, in: cluster)
    let outlook = try ForceOutlook(view, from: arguments.text("replica"), in: cluster)
    guard arguments.flag("force") else {
      throw CommandError(
        "force_needed", "nothing was done. \(outlook.text)",
        hint: "To do it: keelson volume force \(name) --replica \(outlook.chosen.node) --force")
    }
    try access.requireRunning("force volume \(name)")
    let request = ForceRequest(
      requestedAt: .now, replica: outlook.chosen.id, record: outlook.record)
    try VolumeRequests.change(name: name, in: access.store) { $0.force = request }
    let nanoseconds = arguments.durationNanoseconds("wait") ?? 0
    var progress = ProgressLine()
    let outcome = try access.wait(nanoseconds: nanoseconds) { cluster -> ForceOutcome? in
      progress.show("volume \(name): waiting for \(view.nexus?.node ?? "its nexus")")
      guard let spec = cluster.volume(name: name), let record = cluster.inSync(spec.object.id)?.object else { return nil }
      return record.lastForce.flatMap { $0.id == request.id ? $0 : nil }
    }
    progress.clear()
    guard let outcome else {
      throw CommandError.timeout(
        "volume \(name) was not forced within \(TimeSpan.text(nanoseconds: nanoseconds)): its nexus on \(view.nexus?.node ?? "?") did not answer",
        hint: "The request is void after \(Int(ForceRequest.validSeconds) / 60) minutes. See 'keelson status'.")
    }
    if let refusal = outcome.refusal {
      throw CommandError(
        "force_refused", "volume \(name) was not forced: \(refusal)", hint: "Look again with: keelson volume explain \(name)")
    }
    output.write(json: ["volume": .string(name), "replica": .string("\(outlook.chosen.id)"), "node": .string(outlook.chosen.node)]) { _ in
      "volume \(name) goes on from the replica on \(outlook.chosen.node)\n" + outlook.aftermath
    }
    return .success
  }

  static let replicaDiscard = Command(
    CommandDeclaration(
      ["replica", "discard"], summary: "give up what a replica holds that 'volume force' left behind",
      details: "It is compared with the volume then, made equal, and joins it again. What only it held is gone.",
      positionals: [
        PositionalDeclaration("VOLUME", help: "the volume"), PositionalDeclaration("NODE", help: "where the replica is, or its identifier"),
      ],
      options: [OptionDeclaration("force", .flag, help: "do it")] + StoreAccess.options,
      examples: [.init("keelson replica discard db node-2 --force", "the copy on node-2 becomes one of the volume as it is now")])
  ) { arguments, output in
    let name = arguments.positional("VOLUME") ?? ""
    let access = try StoreAccess(arguments)
    let cluster = try access.cluster()
    let view = try volume(name, in: cluster)
    let replica = try replica(of: view, on: arguments.positional("NODE") ?? "")
    let record = cluster.inSync(view.id)?.object
    guard let force = record?.out.first(where: { $0.id == replica.id })?.keptBy else {
      throw CommandError(
        "not_left_behind",
        "the replica of volume \(name) on \(replica.node) was not left behind by a force: it is \(replica.state.rawValue)",
        hint: "There is nothing to discard.")
    }
    guard arguments.flag("force") else {
      throw CommandError(
        "force_needed",
        "what only the replica on \(replica.node) holds of volume \(name) would be gone for good, and --force was not given",
        hint: "Add --force.")
    }
    try VolumeRequests.change(name: name, in: access.store) { spec in
      // Those of before have been dealt with.
      let open = (spec.discarded ?? []).filter { old in record?.out.contains { $0.id == old.replica && $0.keptBy == old.force } == true }
      spec.discarded = open.filter { $0.replica != replica.id } + [DiscardRequest(replica: replica.id, force: force)]
    }
    output.write(json: ["volume": .string(name), "replica": .string("\(replica.id)"), "node": .string(replica.node)]) { _ in
      "the replica of volume \(name) on \(replica.node) is discarded; see how it is made equal with: keelson rebuild list --volume \(name)\n"
    }
    return .success
  }
}

/// What a force would do, before anybody does it.
struct ForceOutlook {
  let chosen: VolumeView.Replica
  let record: InSyncRecord
  private let view: VolumeView
  private let behind: [VolumeView.Replica]

  init(_ view: VolumeView, from place: String?, in cluster: ClusterState) throws(CommandError) {
    guard view.state == .blocked, let record = cluster.inSync(view.id)?.object else {
      throw CommandError(
        "not_blocked", "volume \(view.name) is \(view.state.rawValue): nothing needs to be forced",
        hint: "See why it is as it is with: keelson volume explain \(view.name)")
    }
    let usable = view.replicas.filter { replica in
      replica.state != .leftBehind && cluster.node(replica.node) != nil
        && cluster.replicaStatus(node: replica.node, replica.id)?.state == .ready
    }
    if let place {
      let named = try Command.replica(of: view, on: place)
      guard usable.contains(where: { $0.id == named.id }) else {
        throw CommandError(
          "replica_not_usable", "volume \(view.name) cannot go on from the replica on \(named.node): it is \(named.state.rawValue)",
          hint: usable.isEmpty ? "Bring back a node that has one." : "Usable are those on \(usable.map(\.node).joined(separator: ", ")).")
      }
      chosen = named
    } else {
      guard let only = usable.first, usable.count == 1 else {
        throw CommandError(
          "replica_needed",
          usable.isEmpty
            ? "volume \(view.name) has no replica that can be reached" : "volume \(view.name) could go on from more than one replica",
          hint: usable.isEmpty
            ? "Bring back a node that has one." : "Say which with --replica: \(Self.byAge(usable, record).joined(separator: "; ")).")
      }
      chosen = only
    }
    self.view = view
    self.record = record
    let place = record.out.firstIndex { [chosen] in $0.id == chosen.id }
    behind = view.replicas.filter { [chosen, record] replica in
      guard replica.id != chosen.id, replica.state != .leftBehind else { return false }
      if record.members.contains(replica.id) { return true }
      guard let place, let other = record.out.firstIndex(where: { $0.id == replica.id }) else { return false }
      return other > place
    }
  }

  private static func byAge(_ replicas: [VolumeView.Replica], _ record: InSyncRecord) -> [String] {
    replicas.map { replica in
      if record.members.contains(replica.id) { return "\(replica.node) (in sync until the last)" }
      guard let absent = record.out.first(where: { $0.id == replica.id }) else { return "\(replica.node) (never in sync)" }
      return "\(replica.node) (out of sync since \(absent.leftAt?.formatted(.iso8601) ?? "generation \(absent.atGeneration)"))"
    }
  }

  /// In sentences: from what, and what may be lost.
  var text: String {
    var text = "Volume \(view.name) would go on from the replica on \(chosen.node). "
    if record.members.contains(chosen.id) {
      text += "That one was in sync to the last: it lacks acknowledged writes only if its disk lost unflushed ones with the power. "
    } else if let absent = record.out.first(where: { $0.id == chosen.id }) {
      let since = absent.leftAt.map { "since \($0.formatted(.iso8601))" } ?? "since generation \(absent.atGeneration)"
      text += "That one is out of sync \(since) (\(absent.reason)): every write that hosts were told of since then is lost to the volume. "
      if absent.isForeign || view.rebuilds.contains(where: { $0.replica == chosen.id && $0.state == .failed }) {
        text += "It was being made equal when that ended: it holds a mixture of old and new blocks. "
      }
    } else {
      text += "That one was never in sync: it may hold nothing. "
    }
    if !behind.isEmpty {
      text += "Left behind, and kept as \(behind.count == 1 ? "it is" : "they are"): \(behind.map(\.node).joined(separator: ", ")). "
    }
    return text + "If a node that cannot be reached serves hosts still, what they write there is lost too: shut it off first."
  }

  /// What to do then.
  var aftermath: String {
    behind.map {
      "the replica on \($0.node) is kept as it was; when nothing of it is needed any more: keelson replica discard \(view.name) \($0.node) --force\n"
    }.joined()
  }
}
