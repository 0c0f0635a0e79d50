import Console
import Control
import Foundation
import Pool
import Testing

@testable import keelson

/// The pool commands on files, and against a store that the test fills in the place of nodes.
@Suite struct PoolCommandTests {
  /// A folder for pool files and a store, removed with this.
  private final class Folder: Sendable {
    let path = FileManager.default.temporaryDirectory.path + "/keelson-pools-\(UUID().uuidString)"

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Runs a command line; what it wrote on standard output, and how it ended.
    func run(_ words: String..., json: Bool = true) throws -> (output: String, error: CommandError?, status: Console.ExitStatus) {
      let file = path + "/output"
      _ = FileManager.default.createFile(atPath: file, contents: nil)
      let handle = try FileHandle(forWritingTo: URL(filePath: file))
      defer { try? handle.close() }
      let output = CommandOutput(
        program: "keelson", mode: json ? .json : .table, output: Terminal(fileDescriptor: handle.fileDescriptor),
        errors: Terminal(fileDescriptor: -1))
      let status: Console.ExitStatus
      do throws(CommandError) {
        guard case .run(let arguments) = try Program.grammar.parse(words),
          let command = Program.commands.first(where: { $0.declaration.path == arguments.command.path })
        else { return ("", nil, .failed) }
        status = try command.run(arguments, output)
      } catch {
        return ("", error, error.exitStatus)
      }
      return (try String(contentsOfFile: file, encoding: .utf8), nil, status)
    }

    func json(_ words: String...) throws -> JSONValue {
      let file = path + "/json"
      _ = FileManager.default.createFile(atPath: file, contents: nil)
      let handle = try FileHandle(forWritingTo: URL(filePath: file))
      defer { try? handle.close() }
      guard case .run(let arguments) = try Program.grammar.parse(words) else { return .null }
      let command = try #require(Program.commands.first { $0.declaration.path == arguments.command.path })
      _ = try command.run(
        arguments, CommandOutput(program: "keelson", mode: .json, output: Terminal(fileDescriptor: handle.fileDescriptor)))
      return try JSONParser.parse(try String(contentsOfFile: file, encoding: .utf8))
    }

    func patch(_ bytes: [UInt8], _ name: String, at offset: UInt64) throws {
      let handle = try FileHandle(forUpdating: URL(filePath: "\(path)/\(name)"))
      try handle.seek(toOffset: offset)
      try handle.write(contentsOf: Data(bytes))
      try handle.close()
    }

    func makeFile(_ name: String, byteCount: UInt64) throws {
      _ = FileManager.default.createFile(atPath: "\(path)/\(name)", contents: nil)
      let handle = try FileHandle(forWritingTo: URL(filePath: "\(path)/\(name)"))
      try handle.truncate(atOffset: byteCount)
      try handle.close()
    }
  }

  @Test func `a pool is made with its options, once, and again only by force`() throws {
    let folder = try Folder()
    let path = folder.path + "/a.img"
    #expect(try folder.run("pool", "create", path).error?.hint.contains("path") == true)
    let made = try folder.json(
      "pool", "create", path, "--name", "disk", "--size", "64MiB", "--cluster-size", "256KiB", "--overcommit", "150", "--region-size",
      "1MiB", "--hot-regions", "99")
    #expect(made["name"]?.stringValue == "disk" && made["path"]?.stringValue == path && made["cluster_size"]?.integerValue == 262_144)
    let shown = try folder.json("pool", "show", path)
    #expect(shown["overcommit"]?.integerValue == 150 && shown["region_size"]?.integerValue == 1 << 20)
    #expect(shown["hot_regions"]?.integerValue == 99 && shown["state"]?.stringValue == "offline")
    #expect(shown["uuid"] == made["uuid"] && shown["size"] == made["size"])
    let again = try folder.run("pool", "create", path, "--name", "disk").error
    #expect(again?.code == "pool_exists" && again?.message.contains("“disk”") == true && again?.hint.contains("--force") == true)
    #expect(try folder.run("pool", "create", path, "--name", "other", "--force").error == nil)
    #expect(try folder.json("pool", "show", path)["name"]?.stringValue == "other")
  }

  @Test func `what a pool is set to can be changed`() throws {
    let folder = try Folder()
    let path = folder.path + "/a.img"
    _ = try folder.run("pool", "create", path, "--size", "64MiB", "--integrity", "crc32c")
    let set = try folder.json("pool", "set", path, "--overcommit", "200", "--hot-regions", "64", "--region-size", "1MiB")
    #expect(set["overcommit"]?.integerValue == 200 && set["hot_regions"]?.integerValue == 64)
    let shown = try folder.json("pool", "show", path)
    #expect(shown["overcommit"]?.integerValue == 200 && shown["hot_regions"]?.integerValue == 64)
    #expect(shown["region_size"]?.integerValue == 1 << 20 && shown["integrity"]?.stringValue == "crc32c")
    #expect(try folder.run("pool", "show", path, json: false).output.contains("crc32c of every block"))
    #expect(try folder.run("pool", "set", path).status == .usage)
    let pool = try Pool.open(path: path)
    try pool.createReplica(id: .random(), volumeID: .random(), sizeBytes: 1 << 20)
    #expect(try folder.run("pool", "set", path, "--overcommit", "100").error?.code == "pool_in_use")
    try pool.close()
    #expect(try folder.run("pool", "set", path, "--region-size", "4MiB").error?.code == "pool_has_replicas")
    #expect(try folder.json("pool", "set", path, "--overcommit", "0")["region_size"]?.integerValue == 1 << 20)
  }

  @Test func `what cannot be asked for is a usage error`() throws {
    let folder = try Folder()
    let path = folder.path + "/a.img"
    #expect(try folder.run("pool", "create", path, "--size", "64MiB", "--name", "No").status == .usage)
    #expect(try folder.run("pool", "create", "mem:1MiB").status == .usage)
    for size in ["32KiB", "96KiB", "128MiB"] {
      #expect(try folder.run("pool", "create", path, "--size", "64MiB", "--cluster-size", size).status == .usage)
      #expect(try folder.run("pool", "create", path, "--size", "64MiB", "--region-size", size == "128MiB" ? "2GiB" : size).status == .usage)
    }
    #expect(try folder.run("pool", "create", path, "--size", "64MiB", "--overcommit", "-1").status == .usage)
    #expect(try folder.run("pool", "create", path, "--size", "64MiB", "--hot-regions", "0").status == .usage)
    #expect(!FileManager.default.fileExists(atPath: path))
  }

  @Test(
    arguments: [
      (1080, [0x53, 0xEF], "ext4"), (0, Array("XFSB".utf8), "XFS"), (512, Array("EFI PART".utf8), "GPT"),
      (512, Array("LABELONE".utf8), "LVM"), (4096, [0xFC, 0x4E, 0x2B, 0xA9], "Linux RAID (MD)"), (9000, [1], "data of an unknown kind"),
    ] as [(UInt64, [UInt8], String)])
  func `a place that holds something is refused, and it is said what`(offset: UInt64, bytes: [UInt8], words: String) throws {
    let folder = try Folder()
    try folder.makeFile("disk", byteCount: 64 << 20)
    try folder.patch(bytes, "disk", at: offset)
    let error = try folder.run("pool", "create", folder.path + "/disk").error
    #expect(error?.code == "foreign_content" && error?.message.contains(words) == true && error?.hint.contains("--force") == true)
    for command in ["check", "show", "destroy", "grow"] {
      #expect(try folder.run("pool", command, folder.path + "/disk").error?.code == "foreign_content", "\(command)")
    }
    #expect(try folder.run("pool", "create", folder.path + "/disk", "--force").error == nil)
  }

  @Test func `usage is drawn`() throws {
    let folder = try Folder()
    let path = folder.path + "/a.img"
    _ = try folder.run("pool", "create", path, "--name", "disk", "--size", "64MiB")
    let pool = try Pool.open(path: path)
    let id = PoolIdentifier.random()
    try pool.createReplica(id: id, volumeID: .random(), sizeBytes: 16 << 20, isThick: true)
    try pool.createReplica(id: .random(), volumeID: .random(), sizeBytes: 80 << 20)
    try pool.createSnapshot(id: .random(), of: id)
    try pool.close()
    let shown = try folder.json("pool", "show", path)
    #expect(shown["allocated"]?.integerValue == 16 << 20 && shown["promised"]?.integerValue == 96 << 20)
    #expect(shown["item_count"]?.integerValue == 3 && shown["items"]?[0]?["thick"]?.boolValue == true)
    #expect(shown["items"]?[2]?["kind"]?.stringValue == "snapshot" && shown["items"]?[2]?["own"]?.integerValue == 16 << 20)
    #expect(shown["items"]?[2]?["unique"]?.integerValue == 0, "the replica needs it")
    let text = try folder.run("pool", "show", path, json: false).output
    #expect(text.contains("[###############-") && text.contains("-]"), "\(text)")
    #expect(text.contains("16 MiB allocated") && text.contains("over-committed: 15") && text.contains("thick replica"))
    #expect(text.contains("at most 6") && text.contains("(1000 % of the size)"))
  }

  @Test func `a bar shows what there is`() throws {
    let folder = try Folder()
    _ = try folder.run("pool", "create", folder.path + "/a.img", "--name", "disk", "--size", "64MiB")
    var picture = PoolPicture(try PoolSummary(path: folder.path + "/a.img"))
    picture.sizeBytes = 600
    picture.freeBytes = 600
    #expect(picture.bar == String(repeating: ".", count: 60))
    picture.freeBytes = 599
    #expect(picture.bar == "#" + String(repeating: ".", count: 59))
    picture.freeBytes = 300
    picture.promisedBytes = 450
    #expect(picture.bar == String(repeating: "#", count: 30) + String(repeating: "-", count: 15) + String(repeating: ".", count: 15))
    picture.promisedBytes = 6000
    #expect(picture.bar == String(repeating: "#", count: 30) + String(repeating: "-", count: 30))
  }

  @Test func `a check says what is sound and what is not, and its status too`() throws {
    let folder = try Folder()
    let path = folder.path + "/a.img"
    _ = try folder.run("pool", "create", path, "--name", "disk", "--size", "64MiB")
    #expect(try folder.run("pool", "check", path).status == .success)
    #expect(try folder.run("pool", "check", path, json: false).output.contains("The pool is sound."))
    try folder.patch([0xFF], "a.img", at: 3000)
    let damaged = try folder.run("pool", "check", path, json: false)
    #expect(damaged.status == .failed && damaged.output.contains("recoverable at offset 0: the first copy"))
    #expect(damaged.output.contains("nothing is lost"))
    try folder.patch([0xFF], "a.img", at: 527_288)
    let report = try folder.json("pool", "check", path)
    #expect(report["sound"]?.boolValue == false && report["can_be_opened"]?.boolValue == false)
    #expect(report["findings"]?.arrayValue?.compactMap { $0["offset"]?.integerValue } == [0, 524_288])
    #expect(report["findings"]?[1]?["severity"]?.stringValue == "damage")
    #expect(try folder.run("pool", "check", path, json: false).output.contains("cannot be opened"))
    #expect(try folder.run("pool", "check", folder.path + "/none").error?.hint == "Check the path.")
    // The way out of it.
    let lost = try folder.run("pool", "destroy", path).error
    #expect(lost?.code == "force_needed" && lost?.message.contains("not known") == true)
    #expect(try folder.run("pool", "destroy", path, "--force").status == .success)
    #expect(try folder.run("pool", "check", path).error?.code == "not_a_pool")
  }

  @Test func `a pool grows with its file`() throws {
    let folder = try Folder()
    let path = folder.path + "/a.img"
    let made = try folder.json("pool", "create", path, "--name", "disk", "--size", "64MiB")
    let same = try folder.run("pool", "grow", path, json: false)
    #expect(same.status == .success && same.output.contains("as before"))
    let grown = try folder.json("pool", "grow", path, "--size", "1GiB")
    #expect(grown["old_size"] == made["size"] && (grown["size"]?.integerValue ?? 0) > 1000 << 20)
    let refused = try folder.run("pool", "grow", path, "--size", "512MiB").error
    #expect(refused?.code == "not_larger" && refused?.hint.contains("do not shrink") == true)
    #expect(try folder.run("pool", "check", path).status == .success)
    #expect(try folder.run("pool", "create", folder.path + "/none.img").error != nil)
  }

  @Test func `a pool is destroyed only by force, and it is said what is lost`() throws {
    let folder = try Folder()
    let path = folder.path + "/a.img"
    _ = try folder.run("pool", "create", path, "--name", "disk", "--size", "64MiB")
    let pool = try Pool.open(path: path)
    try pool.createReplica(id: .random(), volumeID: .random(), sizeBytes: 4 << 20, isThick: true)
    let used = try folder.run("pool", "destroy", path, "--force").error
    #expect(used?.code == "pool_in_use" && used?.message.contains("in use by another process") == true)
    try pool.close()
    let kept = try folder.run("pool", "destroy", path).error
    #expect(kept?.code == "force_needed" && kept?.message.contains("1 replica(s), 0 snapshot(s) and 4 MiB of data") == true)
    #expect(try PoolSummary(path: path).replicas.count == 1)
    #expect(try folder.run("pool", "destroy", path, "--force", json: false).output.contains("destroyed pool disk"))
    #expect(try folder.run("pool", "show", path).error?.code == "not_a_pool")
  }

  // MARK: Through the store

  private func put(_ folder: Folder, _ pools: [(node: String, status: PoolStatus)], running: [String]) throws {
    let store = try SQLiteStore(path: folder.path + "/store.db")
    defer { store.close() }
    for (node, status) in pools {
      _ = try store.transact(
        StoreTransaction(operations: [.put(key: Keys.poolStatus(node: node, status.name), value: status.encoded())]))
    }
    for node in running {
      let status = NodeStatus(
        name: node, pid: 1, incarnation: "i", addresses: [], ioEngine: "io_uring", state: .ready, startedAt: .now)
      _ = try store.transact(StoreTransaction(operations: [.put(key: Keys.nodeStatus(node), value: status.encoded())]))
    }
  }

  private func status(
    _ name: String, path: String = "/p", free: UInt64 = 1 << 30, promised: UInt64 = 0, percent: UInt32 = 100,
    state: PoolStatus.State = .ready, message: String? = nil, errors: PoolStatus.DeviceErrors? = nil
  ) -> PoolStatus {
    PoolStatus(
      name: name, uuid: "u", kind: .file, path: path, sizeBytes: 1 << 30, freeBytes: free, promisedBytes: promised, clusterBytes: 1 << 20,
      state: state, message: message,
      contents: .init(
        overcommitPercent: percent, regionBytes: 4 << 20, maximumHotRegions: 256, replicaCount: 1, snapshotCount: 1,
        items: [
          .init(id: "r", volumeID: "v", isSnapshot: false, sizeBytes: 1 << 30, ownBytes: 3 << 20, sharedBytes: 5 << 20),
          .init(id: "s", volumeID: "v", isSnapshot: true, sizeBytes: 1 << 30, ownBytes: 5 << 20, sharedBytes: 0),
        ]), errors: errors)
  }

  @Test func `list, show and status tell of a fault with device, offset and operation`() throws {
    let folder = try Folder()
    let message = "could not write the journal at offset 1048576 on /dev/disk/by-id/x: Input/output error"
    let last = "could not read at offset 7 of replica r on /dev/disk/by-id/x: Input/output error"
    try put(
      folder,
      [
        ("n1", status("a", free: 1 << 29, promised: 3 << 30, percent: 0)),
        ("n1", status("b", state: .faulted, message: message, errors: .init(reads: 2, writes: 1, last: last))), ("n2", status("a")),
      ], running: ["n1"])
    let store = "sqlite:" + folder.path + "/store.db"
    let listed = try folder.run("pool", "list", "--store", store, json: false).output
    for words in ["OVER-COMMIT", "any", "100 %", "512 MiB", "3 GiB", "faulted", "unreachable", message, last, "2 read(s) and 1 write(s)"] {
      #expect(listed.contains(words), "\(words): \(listed)")
    }
    let json = try folder.json("pool", "list", "--store", store)
    #expect(json[0]?["overcommit"]?.integerValue == 0 && json[0]?["allocated"]?.integerValue == 1 << 29)
    #expect(json[1]?["errors"]?.stringValue?.contains("offset 7") == true)
    let overview = try folder.run("status", "--store", store, json: false).output
    #expect(overview.contains("pool b of n1 is faulted: \(message)") && overview.contains(last), "\(overview)")

    #expect(try folder.run("pool", "show", "a", "--store", store).error?.hint == "Say which one with --node.")
    #expect(try folder.run("pool", "show", "none", "--store", store).status == .notFound)
    let shown = try folder.run("pool", "show", "a", "--node", "n1", "--store", store, json: false).output
    #expect(shown.contains("pool a on n1 is ready") && shown.contains("without a limit") && shown.contains("snapshot"), "\(shown)")
    #expect(try folder.json("pool", "show", "b", "--store", store)["notes"]?[0]?.stringValue?.contains("offset 7") == true)
    let growing = try folder.run("pool", "grow", "b", "--store", store).error
    #expect(growing?.code == "pool_in_use" && growing?.hint.contains("start the node again") == true)
  }

  @Test func `of a pool in use its node tells, and one of a node that is down is read`() throws {
    let folder = try Folder()
    let path = folder.path + "/a.img"
    let store = "sqlite:" + folder.path + "/store.db"
    _ = try folder.run("pool", "create", path, "--name", "disk", "--size", "64MiB")
    try put(folder, [("n1", status("disk", path: path))], running: [])
    let read = try folder.json("pool", "show", "disk", "--store", store)
    #expect(read["state"]?.stringValue == "offline" && read["notes"]?[0]?.stringValue?.contains("n1") == true)
    let grown = try folder.json("pool", "grow", "disk", "--size", "128MiB", "--store", store)
    #expect((grown["size"]?.integerValue ?? 0) > 100 << 20)

    try put(folder, [], running: ["n1"])
    let pool = try Pool.open(path: path)
    let told = try folder.json("pool", "show", path, "--store", store)
    #expect(told["node"]?.stringValue == "n1" && told["notes"]?[0]?.stringValue == "it is in use by n1: this is what the node tells")
    #expect(told["items"]?[1]?["unique"] == .null)
    #expect(try folder.run("pool", "show", path, "--store", "sqlite:/nowhere").error?.code == "pool_in_use")
    #expect(try folder.run("pool", "grow", path, "--store", store).error?.hint.contains("start the node again") == true)
    try pool.close()
  }

  @Test func `a volume that no pool may promise is refused at once, with what to do`() throws {
    let folder = try Folder()
    let store = "sqlite:" + folder.path + "/store.db"
    try put(
      folder, [("n1", status("a", free: 1 << 30, promised: 1 << 29)), ("n2", status("b", free: 1 << 29, promised: 0, percent: 400))],
      running: ["n1", "n2"])
    let error = try folder.run("volume", "create", "big", "--size", "768MiB", "--replicas", "2", "--no-wait", "--store", store).error
    #expect(error?.code == "no_capacity")
    #expect(error?.message.contains("pool a has promised 512 MiB of at most 1 GiB") == true, "\(error?.message ?? "")")
    #expect(error?.hint.contains("keelson pool grow") == true)
    // Thin it has room where it may be promised; thick it needs the space.
    let thick = try folder.run(
      "volume", "create", "big", "--size", "768MiB", "--replicas", "1", "--thick", "--no-wait", "--store", store
    ).error
    #expect(thick?.message.contains("pool b full (512 MiB of 1 GiB free)") == true, "\(thick?.message ?? "")")
    #expect(
      try folder.run("volume", "create", "big", "--size", "768MiB", "--replicas", "1", "--no-wait", "--store", store).error == nil)
    let made = try folder.json("volume", "create", "solid", "--size", "256MiB", "--replicas", "2", "--thick", "--no-wait", "--store", store)
    #expect(made["thick"]?.boolValue == true)
    // Waiting for a node may help.
    #expect(
      try folder.run("volume", "create", "three", "--size", "1MiB", "--replicas", "3", "--no-wait", "--store", store).error == nil)
  }
}
