import Console
import Control
import Foundation
import Testing

@testable import keelson

/// The commands against a store that the test fills in the place of controller and nodes.
@Suite struct VolumeCommandTests {
  private final class Cluster: Sendable {
    let path = FileManager.default.temporaryDirectory.path + "/keelson-cli-\(UUID().uuidString)"
    let store: SQLiteStore

    init() throws {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      store = try SQLiteStore(path: path + "/store.db")
      let status = NodeStatus(
        name: "n1", pid: 42, incarnation: "i", addresses: [TransportAddress(adrfam: "ipv4", traddr: "10.0.0.1", trsvcid: "4420")],
        ioEngine: "io_uring", state: .ready, startedAt: .now)
      try put(status, at: Keys.nodeStatus("n1"))
    }

    deinit {
      store.close()
      try? FileManager.default.removeItem(atPath: path)
    }

    func put(_ object: some StoredObject, at key: String) throws {
      _ = try store.transact(StoreTransaction(operations: [.put(key: key, value: object.encoded())]))
    }

    /// Places the volume and reports it healthy, as controller and node do; or its only replica as coming back.
    func serve(_ spec: VolumeSpec, rebuilding: RebuildStatus? = nil) throws {
      let id = rebuilding?.replica ?? ReplicaID()
      let replica = NexusAssignment.Replica(id: id, node: "n1", pool: "p")
      let assignment = NexusAssignment(
        volumeID: spec.id, volumeName: spec.name, sizeBytes: spec.sizeBytes, blockSizeBytes: spec.blockSizeBytes, replicas: [replica])
      try put(assignment, at: Keys.nexusAssignment(node: "n1", spec.id))
      try put(ReplicaStatus(id: id, volumeID: spec.id, pool: "p", state: .ready), at: Keys.replicaStatus(node: "n1", id))
      let record = InSyncRecord(
        generation: 1, setVersion: 1, nexusNode: "n1", nexusIncarnation: "i", members: rebuilding == nil ? [id] : [])
      try put(record, at: Keys.inSync(spec.id))
      try put(
        NexusStatus(
          volumeID: spec.id, state: rebuilding == nil ? .healthy : .rebuilding, generation: 1,
          replicas: [.init(id: id, node: "n1", state: rebuilding == nil ? .inSync : .syncing)],
          rebuilds: rebuilding.map { [$0] } ?? []),
        at: Keys.nexusStatus(node: "n1", spec.id))
    }

    /// Runs a command with JSON output and returns what it wrote and its status.
    func run(_ words: String...) throws -> (json: JSONValue, status: Console.ExitStatus) {
      let file = path + "/output-\(UUID().uuidString)"
      try Data().write(to: URL(fileURLWithPath: file))
      let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: file))
      let output = CommandOutput(program: "keelson", mode: .json, output: Terminal(fileDescriptor: handle.fileDescriptor))
      var status: Console.ExitStatus
      do {
        guard case .run(let arguments) = try Program.grammar.parse(words + ["--store", "sqlite:\(path)/store.db"]),
          let command = Program.commands.first(where: { $0.declaration.path == arguments.command.path })
        else { throw CommandError("help", "help was asked for") }
        status = try command.run(arguments, output)
      } catch let error as CommandError { status = output.write(error) }
      try handle.close()
      return (try JSONParser.parse(Array(try Data(contentsOf: URL(fileURLWithPath: file)))), status)
    }
  }

  private func names(_ value: JSONValue?) -> [String] { value?.objectValue?.map(\.name) ?? [] }

  @Test func `create waits until the volume is served, and shows it in the promised form`() throws {
    let cluster = try Cluster()
    let store = cluster.store
    let creator = Foundation.Thread { [cluster] in
      // In the controller's place.
      let spec = try? store.wait(nanoseconds: 10_000_000_000) { mirror -> VolumeSpec? in
        mirror[Keys.volumeSpec(name: "db")].flatMap { try? Stored<VolumeSpec>($0).object }
      }
      if let spec { try? cluster.serve(spec) }
    }
    creator.start()
    let (json, status) = try cluster.run("volume", "create", "db", "--size", "1GiB", "--replicas", "1", "--wait", "20s")
    #expect(status == .success)
    #expect(names(json) == ["name", "id", "size", "block_size", "state", "nexus", "replicas", "paths"])
    #expect(json["name"] == "db" && json["size"] == 1_073_741_824 && json["block_size"] == 512 && json["state"] == "healthy")
    #expect(json["nexus"] == ["node": "n1"])
    #expect(names(json["replicas"]?[0]) == ["id", "node", "pool", "state"])
    #expect(names(json["paths"]?[0]) == ["trtype", "adrfam", "traddr", "trsvcid", "subnqn", "node", "ana_state"])
    #expect(json["paths"]?[0]?["ana_state"] == "optimized")

    let again = try cluster.run("volume", "create", "db", "--size", "1GiB")
    #expect(again.status == .failed && again.json["error"]?["code"] == "volume_exists")
    #expect(try cluster.run("volume", "show", "db").json == json)
    #expect(try cluster.run("volume", "list").json == .array([json]))
  }

  @Test func `what does not become true in time is a timeout that says why`() throws {
    let cluster = try Cluster()
    try cluster.put(VolumeNote(state: .pending, message: "needs 2 nodes"), at: Keys.volumeNote(name: "db"))
    let (json, status) = try cluster.run("volume", "create", "db", "--size", "1GiB", "--wait", "50ms")
    #expect(status == .timeout)
    #expect(names(json["error"]) == ["code", "message", "hint"])
    #expect(json["error"]?["code"] == "timeout")
    #expect(json["error"]?["message"]?.stringValue?.contains("needs 2 nodes") == true)
  }

  @Test func `without waiting, create only asks`() throws {
    let cluster = try Cluster()
    let (json, status) = try cluster.run("volume", "create", "db", "--size", "1GiB", "--no-wait")
    #expect(status == .success && json["state"] == "blocked" && json["nexus"] == .null && json["paths"] == [])
    #expect(try cluster.store.get(Keys.volumeSpec(name: "db")) != nil)
  }

  @Test func `delete needs to be told twice, and waits until the volume is gone`() throws {
    let cluster = try Cluster()
    let spec = VolumeSpec(name: "db", sizeBytes: 1 << 30, replicaCount: 1, createdAt: .now)
    try cluster.put(spec, at: Keys.volumeSpec(name: "db"))
    // Tests have no terminal to type the name on.
    let refused = try cluster.run("volume", "delete", "db")
    #expect(refused.status == .failed && refused.json["error"]?["code"] == "force_needed")
    let late = try cluster.run("volume", "delete", "db", "--force", "--wait", "50ms")
    #expect(late.status == .timeout)
    let key = Keys.volumeSpec(name: "db")
    let marked = try cluster.store.object(VolumeSpec.self, at: key)
    #expect(marked?.object.deleting == true)
    _ = try cluster.store.transact(StoreTransaction(operations: [.delete(key: key)]))
    let gone = try cluster.run("volume", "delete", "db", "--force")
    #expect(gone.status == .notFound && gone.json["error"]?["code"] == "volume_not_found")
  }

  @Test func `lists in the promised form`() throws {
    let cluster = try Cluster()
    let nodes = try cluster.run("node", "list").json
    #expect(
      nodes == [
        [
          "name": "n1", "pid": 42, "state": "ready", "addresses": [["adrfam": "ipv4", "traddr": "10.0.0.1", "trsvcid": "4420"]],
          "cordoned": false, "draining": false, "labels": [:],
        ]
      ])
    #expect(try cluster.run("pool", "list").json == [])
    #expect(try cluster.run("replica", "list").json == [])
    let status = try cluster.run("status").json
    #expect(names(status) == ["nodes", "pools", "volumes", "rebuilds", "problems"] && status["problems"] == [])
    #expect(try cluster.run("volume", "show", "none").status == .notFound)
  }

  @Test func `bench of a volume that nobody serves says so`() throws {
    let cluster = try Cluster()
    #expect(try cluster.run("bench", "none").status == .notFound)
    try cluster.put(
      VolumeSpec(name: "db", sizeBytes: 1 << 30, replicaCount: 1, createdAt: .now), at: Keys.volumeSpec(name: "db"))
    let (json, status) = try cluster.run("bench", "db")
    #expect(status == .failed && json["error"]?["code"] == "volume_not_served")
  }

  @Test func `rebuilds are paused, resumed and throttled, slow replicas dropped, by what the specification says`() throws {
    let cluster = try Cluster()
    let spec = VolumeSpec(name: "db", sizeBytes: 1 << 30, replicaCount: 1, createdAt: .now)
    try cluster.put(spec, at: Keys.volumeSpec(name: "db"))
    func stored() throws -> VolumeSpec? { try cluster.store.object(VolumeSpec.self, at: Keys.volumeSpec(name: "db"))?.object }
    #expect(try cluster.run("rebuild", "pause", "db").json["paused"] == true)
    #expect(try cluster.run("rebuild", "throttle", "db", "--bandwidth", "100MiB").status == .success)
    #expect(try stored()?.rebuild == RebuildPolicy(isPaused: true, bytesPerSecond: 100 << 20))
    #expect(try cluster.run("rebuild", "throttle", "db").json["bytes_per_second"] == .null)
    #expect(try cluster.run("rebuild", "resume", "db").json["paused"] == false)
    #expect(try stored()?.rebuild == nil)
    #expect(try cluster.run("rebuild", "pause", "other").status == .notFound)
    #expect(try cluster.run("volume", "set", "db", "--slow-replicas", "drop").status == .success)
    #expect(try stored()?.slowReplicas == .drop)
    #expect(try cluster.run("volume", "set", "db").status == .usage)
  }

  @Test func `a scrub is asked for once while it is under way, watched to its end, and stopped`() throws {
    let cluster = try Cluster()
    let spec = VolumeSpec(name: "db", sizeBytes: 1 << 30, replicaCount: 1, createdAt: .now)
    try cluster.put(spec, at: Keys.volumeSpec(name: "db"))
    try cluster.serve(spec)
    func request() throws -> ScrubRequest? { try cluster.store.object(VolumeSpec.self, at: Keys.volumeSpec(name: "db"))?.object.scrub }
    #expect(try cluster.run("volume", "scrub", "db", "--stop").status == .failed)
    #expect(try cluster.run("volume", "scrub", "db").status == .success)
    let first = try #require(try request())
    #expect(try cluster.run("volume", "scrub", "db").status == .success)
    #expect(try request() == first)
    // In the nexus's place.
    var ended = ScrubStatus(id: first.id, state: .done, startedAt: .now)
    (ended.bytesToDo, ended.bytesDone, ended.differingBlocks, ended.repairedBlocks) = (1 << 20, 1 << 20, 2, 1)
    ended.unresolved = [8192]
    var record = try #require(try cluster.store.object(InSyncRecord.self, at: Keys.inSync(spec.id))).object
    record.lastScrub = ended
    try cluster.put(record, at: Keys.inSync(spec.id))
    let over = try cluster.run("volume", "scrub", "db", "--stop", "--watch")
    #expect(over.status == .failed && over.json["unresolved"]?[0] == 8192 && over.json["repaired_blocks"] == 1, "\(over.json)")
    #expect(try request()?.isStopped == true)
    #expect(try cluster.run("volume", "show", "db").json["scrub"]?["differing_blocks"] == 2)
    // What was over is begun anew, as another request.
    #expect(try cluster.run("volume", "scrub", "db", "--trust", "n1").status == .success)
    #expect(try request()?.id != first.id)
    #expect(try cluster.run("volume", "scrub", "db", "--trust", "n9").status == .failed)
  }

  @Test func `a force says what may be lost, holds for what was seen, and is not done without the word`() throws {
    let cluster = try Cluster()
    let spec = VolumeSpec(name: "db", sizeBytes: 1 << 30, replicaCount: 2, createdAt: .now)
    try cluster.put(spec, at: Keys.volumeSpec(name: "db"))
    try cluster.serve(spec)
    #expect(try cluster.run("volume", "force", "db", "--force").json["error"]?["code"] == "not_blocked")
    // The replica of n1 is out; that of n2, which is down, is the set.
    let assignment = try #require(try cluster.store.object(NexusAssignment.self, at: Keys.nexusAssignment(node: "n1", spec.id))).object
    let (here, there) = (assignment.replicas[0].id, ReplicaID())
    var wider = assignment
    wider.replicas.append(.init(id: there, node: "n2", pool: "p"))
    try cluster.put(wider, at: Keys.nexusAssignment(node: "n1", spec.id))
    var record = InSyncRecord(
      generation: 7, setVersion: 4, nexusNode: "n1", nexusIncarnation: "i", members: [there],
      out: [.init(id: here, reason: "the connection was lost", atGeneration: 5)])
    try cluster.put(record, at: Keys.inSync(spec.id))
    try cluster.put(
      NexusStatus(volumeID: spec.id, state: .blocked, message: "waiting", generation: 7, replicas: []),
      at: Keys.nexusStatus(node: "n1", spec.id))
    let told = try cluster.run("volume", "force", "db")
    let text = told.json["error"]?["message"]?.stringValue ?? ""
    #expect(told.status == .failed && text.contains("every write that hosts were told of since then is lost"), "\(told.json)")
    #expect(text.contains("Left behind, and kept as it is: n2"))
    #expect(try cluster.run("volume", "force", "db", "--replica", "n2", "--force").status == .failed)
    #expect(try cluster.store.object(VolumeSpec.self, at: Keys.volumeSpec(name: "db"))?.object.force == nil)
    #expect(try cluster.run("volume", "force", "db", "--force", "--wait", "100ms").status == .timeout)
    let request = try #require(try cluster.store.object(VolumeSpec.self, at: Keys.volumeSpec(name: "db"))?.object.force)
    #expect(request.replica == here && request.servedGeneration == 0 && request.setVersion == 4)
    #expect(try cluster.run("replica", "discard", "db", "n2", "--force").json["error"]?["code"] == "not_left_behind")
    record.out = [.init(id: there, reason: "left behind by force", atGeneration: 7)]
    record.out[0].keptBy = request.id
    record.members = [here]
    try cluster.put(record, at: Keys.inSync(spec.id))
    #expect(try cluster.run("replica", "discard", "db", "n2").json["error"]?["code"] == "force_needed")
    #expect(try cluster.run("replica", "discard", "db", "n2", "--force").status == .success)
    #expect(
      try cluster.store.object(VolumeSpec.self, at: Keys.volumeSpec(name: "db"))?.object.discarded
        == [DiscardRequest(replica: there, force: request.id)])
  }

  @Test func `rebuilds and explanations in the promised form, and with bars for people`() throws {
    let cluster = try Cluster()
    let spec = VolumeSpec(name: "db", sizeBytes: 1 << 30, replicaCount: 1, createdAt: .now)
    try cluster.put(spec, at: Keys.volumeSpec(name: "db"))
    let rebuild = RebuildStatus(
      replica: ReplicaID(), node: "n1", kind: .recorded, state: .running, cause: "the connection was lost", bytesToDo: 100 << 20,
      bytesDone: 35 << 20, bytesRead: 40 << 20, bytesSent: 3 << 20, bytesPerSecond: 5 << 20, startedAt: .now)
    try cluster.serve(spec, rebuilding: rebuild)
    let list = try cluster.run("rebuild", "list").json
    #expect(
      names(list[0]) == [
        "volume", "replica", "node", "kind", "state", "cause", "bytes_to_do", "bytes_done", "bytes_read", "bytes_sent", "bytes_per_second",
        "started_at", "seconds_left", "limit_bytes_per_second",
      ])
    #expect(list[0]?["volume"] == "db" && list[0]?["state"] == "running" && list[0]?["seconds_left"] == 13)
    #expect(try cluster.run("rebuild", "list", "--volume", "other").status == .notFound)
    let shown = try cluster.run("volume", "show", "db").json
    #expect(shown["state"] == "rebuilding" && shown["replicas"]?[0]?["state"] == "syncing")
    #expect(shown["replicas"]?[0]?["rebuild"]?["bytes_done"] == 36_700_160)

    let text = [RebuildView(volume: "db", rebuild: rebuild)].text(TextStyle(usesColour: false))
    #expect(text.contains("[#######.............]  35 %") && text.contains("13 s left"), "\(text)")
    let explanation = try cluster.run("volume", "explain", "db").json
    #expect(names(explanation) == ["name", "id", "state", "why", "running", "next", "help"])
    #expect(explanation["state"] == "rebuilding" && explanation["running"]?.arrayValue?.count == 1)
  }
}
