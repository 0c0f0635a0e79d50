import Console
import Control
import Foundation

extension Command {
  static let export = Command(
    CommandDeclaration(
      ["export"], summary: "write all that the state store knows into a file",
      details: "JSON, with all fields. There are no secrets in the store. Events and what ends with its process are left out.",
      positionals: [PositionalDeclaration("FILE", help: "where to write it; - for standard output")], options: StoreAccess.options,
      examples: [.init("keelson export state.json", "a copy to keep elsewhere")])
  ) { arguments, output in
    let access = try StoreAccess(arguments)
    let data = try StoreExport.document(of: access.store)
    let path = arguments.positional("FILE") ?? "-"
    if path == "-" {
      Terminal.standardOutput.write(String(decoding: data, as: UTF8.self) + "\n")
      return .success
    }
    do { try data.write(to: URL(fileURLWithPath: path), options: .atomic) } catch {
      throw CommandError("file_not_written", "cannot write \(path): \(error.localizedDescription)")
    }
    output.write(json: ["file": .string(path), "bytes": .integer(Int64(data.count))]) { _ in
      "\(path) has \(ByteSize.text(UInt64(data.count)))\n"
    }
    return .success
  }

  static let importState = Command(
    CommandDeclaration(
      ["import"], summary: "write what was exported into the state store",
      details: """
        What the file has replaces what the store has. What nodes say of themselves is left out: they say it anew. A copy may be old: where
        pools remember a later state of the store, their nodes serve nothing by it until that is confirmed with 'keelson recover --trust-store'.
        """,
      positionals: [PositionalDeclaration("FILE", help: "what 'keelson export' wrote")],
      options: [OptionDeclaration("force", .flag, help: "also into a store that is not empty")] + StoreAccess.options,
      examples: [.init("keelson import state.json --force", "replaces what the store has of the same names")])
  ) { arguments, output in
    let path = arguments.positional("FILE") ?? ""
    let data = try contents(of: path)
    let access = try StoreAccess(arguments)
    let count = try StoreExport.write(data, to: access.store, mayReplace: arguments.flag("force"))
    output.write(json: ["entries": .integer(Int64(count))]) { _ in "\(count) entries were written\n" }
    return .success
  }

  static let recover = Command(
    CommandDeclaration(
      ["recover"], summary: "rebuild the state of volumes from what their replicas remember, after the store was lost",
      details: """
        Start all nodes on the new store first: each tells which replicas it found that nobody assigned to it. Without --force the
        command only shows what it would do. A volume of which it is not sure who is in sync is left alone, with the reason; replicas are never
        deleted. In a cluster no host is let in to a volume before 'keelson volume publish' says so. On etcd it needs the controller's account.
        """,
      options: [
        OptionDeclaration("from-pools", .flag, help: "rebuild volumes"),
        OptionDeclaration(
          "names", .text("FILE"), help: "names of volumes from an export; else those that pools remember, or recovered-..."),
        OptionDeclaration(
          "lost", .text("VOLUME-ID"), isRepeated: true,
          help: "replicas of this volume that were not found are lost for good: go on without them"),
        OptionDeclaration("trust-store", .flag, help: "this store is the right one, though pools remember a later or another one"),
        OptionDeclaration("force", .flag, help: "do it"),
      ] + StoreAccess.options,
      examples: [
        .init("keelson recover --from-pools", "shows what can be told, and what not and why"),
        .init("keelson recover --from-pools --names state.json --force", "does it, with the names of an export"),
        .init("keelson recover --trust-store --force", "after the store was restored from its latest copy"),
      ])
  ) { arguments, output in
    if !arguments.flag("from-pools") && !arguments.flag("trust-store") {
      throw CommandError.usage("nothing is asked for", hint: "Give --from-pools or --trust-store.")
    }
    let access = try StoreAccess(arguments)
    let cluster = try access.cluster()
    var names: [VolumeID: String] = [:]
    if let path = arguments.text("names") { names = try StoreExport.volumeNames(in: contents(of: path)) }
    var forced: Set<VolumeID> = []
    for text in arguments.texts("lost") {
      guard let id = VolumeID(text) else { throw CommandError.usage("'\(text)' is no volume's id") }
      forced.insert(id)
    }
    let found = arguments.flag("from-pools") ? cluster.foundReplicas : []
    let recovery = Recovery(found, names: names, forced: forced, publications: access.isCluster ? [] : nil, in: cluster, now: .now)
    let isDone = arguments.flag("force")
    let doubts = cluster.doubts.filter { !$0.doubt.isOverruled(by: cluster.trust) }
    if doubts.isEmpty, arguments.flag("trust-store") {
      throw CommandError(
        "store_not_doubted", "no node doubts the state store", hint: "Start the nodes on it first: each says what its pools remember.")
    }
    var written: [String] = []
    if isDone {
      for volume in recovery.volumes {
        if try access.store.transact(volume.transaction).committedRevision != nil { written.append(volume.spec.name) }
      }
      // Their memory is of the store that was lost; what is not written here is not served by anybody.
      // No more than what is known to be remembered: a store that goes back later is found out again.
      let upTo = (found.map(\.object.storeRevision) + doubts.map(\.doubt.revision)).max() ?? 0
      let identities = Set(doubts.flatMap { $0.doubt.identities ?? [] }).sorted()
      if upTo > 0 || !identities.isEmpty { try StoreRecovery.trust(upTo: upTo, identities: identities, in: access.store) }
    }
    output.write(json: recovery.json(written: isDone ? written : nil)) { style in recovery.text(style, written: isDone ? written : nil) }
    return recovery.refusals.isEmpty ? .success : .failed
  }

  private static func contents(of path: String) throws(CommandError) -> Data {
    do { return try Data(contentsOf: URL(fileURLWithPath: path)) } catch {
      throw CommandError.notFound("file_not_read", "cannot read \(path): \(error.localizedDescription)")
    }
  }
}

extension Recovery {
  func json(written: [String]?) -> JSONValue {
    let volumeValues = volumes.map { volume -> JSONValue in
      [
        "name": .string(volume.spec.name), "id": .string("\(volume.spec.id)"), "size": .unsigned(volume.spec.sizeBytes),
        "generation": .unsigned(volume.record.generation), "in_sync": .array(volume.record.members.map { .string("\($0)") }),
        "nodes": .array(volume.nexus.replicas.map { .string($0.node) }),
      ]
    }
    let refusalValues = refusals.map { refusal -> JSONValue in
      [
        "id": .string("\(refusal.volumeID)"), "name": refusal.name.map { .string($0) } ?? .null, "reason": .string(refusal.reason),
        "can_be_forced": .bool(refusal.canBeForced),
      ]
    }
    return [
      "volumes": .array(volumeValues), "refused": .array(refusalValues), "done": .bool(written != nil),
      "written": .array((written ?? []).map { .string($0) }),
    ]
  }

  func text(_ style: TextStyle, written: [String]?) -> String {
    var text = ""
    for volume in volumes {
      let isWritten =
        written.map { $0.contains(volume.spec.name) ? "recovered" : "not written: somebody else was faster" } ?? "can be recovered"
      text += "volume \(volume.spec.name) (\(ByteSize.text(volume.spec.sizeBytes))) \(isWritten): \(volume.record.members.count) in sync"
      text += volume.record.out.isEmpty ? "" : ", \(volume.record.out.count) to be made equal"
      text += ", on \(volume.nexus.replicas.map(\.node).joined(separator: ", "))\n"
    }
    for refusal in refusals {
      let name = refusal.name ?? "\(refusal.volumeID)"
      text += "\(style.applied(.yellow, to: "!")) volume \(name) is left alone: \(refusal.reason)"
      text += refusal.canBeForced ? "; or give it up: --lost \(refusal.volumeID)\n" : "\n"
    }
    if volumes.isEmpty && refusals.isEmpty { text += "No replicas were found that nobody has assigned.\n" }
    if written == nil { text += "Nothing was changed. Do it with: --force\n" }
    return text
  }
}
