import Foundation
import Glibc
import Testing

extension EndToEnd {
  @Suite(.serialized) struct CommandLineTests {
    @Test(arguments: ["io_uring", "libaio"])
    func `a volume from its creation to its end, as commands show it`(engine: String) async throws {
      try await TestDev.with(options: ["--io-engine", engine]) { dev in
        let nodes = try await dev.json("node", "list").array
        #expect(nodes.map(\.["name"].string) == ["node-1", "node-2", "node-3"])
        for (index, node) in nodes.enumerated() {
          #expect(node.keys == ["name", "pid", "state", "addresses", "cordoned", "draining", "labels"])
          #expect(node["state"] == "ready" && kill(Int32(node["pid"].int), 0) == 0)
          #expect(node["addresses"].array.map(\.keys) == [["adrfam", "traddr", "trsvcid"]])
          #expect(node["addresses"][0]["trsvcid"].string == "\(dev.basePort + index)")
          #expect(dev.log(of: node["name"].string).contains("reactor(s) on \(engine)"))
        }

        let created = try await dev.create("db", size: "64MiB")
        let shown = try await dev.volume("db")
        #expect(created == shown)
        expectShape(shown, of: "db", size: 64 << 20, replicas: 2, dev)
        #expect(try await dev.json("volume", "list") == .array([shown]))

        let pools = try await dev.json("pool", "list").array
        #expect(pools.count == 3)
        for pool in pools {
          #expect(pool.keys.isSuperset(of: ["name", "node", "uuid", "kind", "path", "size", "free", "promised", "state"]))
          #expect(pool["state"] == "ready" && pool["kind"] == "file")
          let holds = shown["replicas"].array.contains { $0["node"] == pool["node"] }
          // Thin: what nobody wrote takes nothing.
          #expect(pool["free"] == pool["size"] && pool["promised"].int == (holds ? 64 << 20 : 0))
        }
        let replicas = try await dev.json("replica", "list").array
        #expect(Set(replicas.map(\.["id"].string)) == Set(shown["replicas"].array.map(\.["id"].string)))
        #expect(replicas.allSatisfy { $0["volume"] == "db" && $0["state"] == "in-sync" && $0["size"].int == 64 << 20 })
        let status = try await dev.json("status")
        #expect(status["problems"] == .array([]) && status["volumes"] == .array([shown]))

        let text = try await dev.run("volume", "show", "db").output
        #expect(text.contains("nvme connect --transport=tcp --traddr=127.0.0.1"))

        _ = try await dev.json("bench", "db", "--rw", "write", "--bs", "1m", "--size", "8MiB", "--one-pass")
        try await eventually("pool list shows what was written") {
          let used = try await dev.json("pool", "list").array.map { $0["size"].int - $0["free"].int }
          return used.sorted() == [0, 8 << 20, 8 << 20] ? true : nil
        }

        let again = try await dev.run("volume", "create", "db", "--size", "1MiB", "--output", "json")
        try expectError(again, status: 1, code: "volume_exists")
        let deleted = try await dev.json("volume", "delete", "db", "--force")
        #expect(deleted["name"] == "db" && deleted["id"] == shown["id"])
        #expect(try await dev.json("volume", "list") == .array([]))
        #expect(try await dev.json("replica", "list") == .array([]))
        #expect(try await dev.json("pool", "list").array.allSatisfy { $0["size"] == $0["free"] })

        #expect(try await dev.stop() == 0)
        #expect(Machine.processes(with: dev.directory).isEmpty)
      }
    }

    private func expectShape(_ volume: JSON, of name: String, size: Int, replicas: Int, _ dev: TestDev) {
      #expect(volume.keys == ["name", "id", "size", "block_size", "state", "nexus", "replicas", "paths"])
      #expect(volume["name"].string == name && volume["size"].int == size && volume["block_size"].int == 512)
      #expect(UUID(uuidString: volume["id"].string) != nil && volume["state"] == "healthy")
      #expect(volume["nexus"].keys == ["node"])
      #expect(volume["replicas"].array.count == replicas)
      #expect(Set(volume["replicas"].array.map(\.["node"].string)).count == replicas, "each on a node of its own")
      for replica in volume["replicas"].array {
        #expect(replica.keys == ["id", "node", "pool", "state"])
        #expect(replica["state"] == "in-sync" && replica["pool"] == "disk" && UUID(uuidString: replica["id"].string) != nil)
      }
      #expect(volume["paths"].array.count == 1)
      let path = volume["paths"][0]
      #expect(path.keys == ["trtype", "adrfam", "traddr", "trsvcid", "subnqn", "node", "ana_state"])
      #expect(path["trtype"] == "tcp" && path["adrfam"] == "ipv4" && path["traddr"] == "127.0.0.1")
      #expect(path["node"].string == volume.nexusNode && path["ana_state"] == "optimized")
      let node = Int(volume.nexusNode.dropFirst("node-".count)) ?? 0
      #expect(path["trsvcid"].string == "\(dev.basePort + node - 1)")
      #expect(path["subnqn"].string.hasPrefix("nqn.") && path["subnqn"].string.hasSuffix(volume["id"].string))
    }

    @Test func `errors say what, why and what to do, and have statuses`() async throws {
      try await TestDev.with(nodes: 2, poolSize: "256MiB") { dev in
        try expectError(try await dev.run("volume", "show", "nobody", "--output", "json"), status: 3, code: "volume_not_found")
        try expectError(try await dev.run("volume", "delete", "nobody", "--force", "--output", "json"), status: 3, code: "volume_not_found")
        try expectError(try await dev.run("bench", "nobody", "--output", "json"), status: 3, code: "volume_not_found")
        // No pool may promise it; for want of nodes it stays asked for.
        let late = try await dev.run("volume", "create", "large", "--size", "16GiB", "--wait", "1s", "--output", "json")
        try expectError(late, status: 1, code: "no_capacity")
        let spread = try await dev.run(
          "volume", "create", "spread", "--size", "1MiB", "--replicas", "3", "--wait", "1s", "--output", "json")
        try expectError(spread, status: 4)
        let waiting = try await dev.volume("spread")
        #expect(waiting["state"] == "blocked" && waiting["nexus"] == .null && !waiting["message"].string.isEmpty)
        _ = try await dev.json("volume", "delete", "spread", "--force")
        let noWait = try await dev.run("volume", "create", "soon", "--size", "1MiB", "--no-wait", "--output", "json")
        #expect(noWait.status == 0)
        try await dev.await("healthy", of: "soon")
        let unsure = try await dev.run("volume", "delete", "soon", "--output", "json")
        try expectError(unsure, status: 1, code: "force_needed")

        let second = try await Program.run(
          ["dev", "--dir", dev.directory, "--port", "\(try Machine.freePorts(3))", "--output", "json"], limitSeconds: 20)
        try expectError(second, status: 1, code: "dev_already_running")
        let elsewhere = FileManager.default.temporaryDirectory.appending(path: "keelson-e2e-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: elsewhere) }
        let taken = try await Program.run(
          ["dev", "--dir", elsewhere, "--nodes", "2", "--port", "\(dev.basePort - 1)", "--output", "json"], limitSeconds: 20)
        try expectError(taken, status: 1, code: "port_taken")
        #expect(try taken.json()["error"]["message"].string.contains("127.0.0.1:\(dev.basePort)"))
        let nowhere = try await Program.run(["volume", "list", "--dir", elsewhere + "/none", "--output", "json"])
        try expectError(nowhere, status: 1, code: "dev_not_found")

        #expect(try await dev.stop() == 0)
        let stopped = try await dev.run("volume", "create", "late", "--size", "1MiB", "--output", "json")
        try expectError(stopped, status: 1, code: "dev_not_running")
        let view = try await dev.volume("soon")
        #expect(view["state"] == "blocked" && view["message"].string.contains("not running"))
      }
    }

    @Test(arguments: [
      ["volume"], ["volume", "create"], ["volume", "create", "a"], ["volume", "create", "a", "--size", "0"],
      ["volume", "create", "a", "--size", "-1"], ["volume", "create", "a", "--size", "65TiB"], ["volume", "create", "a", "--size", "1000"],
      ["volume", "create", "a", "--size", "99999999999999999999GiB"], ["volume", "create", "a", "--size", "1GiB", "--replicas", "0"],
      ["volume", "create", "a", "--size", "1GiB", "--replicas", "9"], ["volume", "create", "a", "--size", "1GiB", "--block-size", "1024"],
      ["volume", "create", "A", "--size", "1GiB"], ["volume", "create", "a/b", "--size", "1GiB"],
      ["volume", "create", "", "--size", "1GiB"],
      ["volume", "create", "-a", "--size", "1GiB"], ["volume", "create", "a b", "--size", "1GiB"],
      ["volume", "create", String(repeating: "a", count: 64), "--size", "1GiB"], ["volume", "create", "a", "b", "--size", "1GiB"],
      ["volume", "create", "a", "--size", "1GiB", "--wait", "soon"], ["volume", "show"], ["volume", "list", "--no-such-option"],
      ["frobnicate"], ["bench"], ["bench", "./f", "--rw", "sideways"], ["bench", "nvme-tcp://nowhere"], ["bench", "./f", "--iodepth", "0"],
      ["bench", "./f", "--bs", "1000"], ["bench", "./f", "--bs", "2m"], ["bench", "./f", "--rw", "randread", "--verify"],
      ["dev", "--nodes", "0"], ["dev", "--port", "65535"],
      ["dev", "--pool", "/tmp/x"], ["dev", "--advertise", "not-an-address"], ["dev", "--io-engine", "threads"], ["node"],
      ["node", "--name", "n", "--store", "sqlite:/tmp/s", "--listen", "nowhere"],
      ["node", "--name", "N!", "--store", "sqlite:/tmp/s", "--listen", "127.0.0.1:1"],
    ]) func `what makes no sense is refused as usage`(arguments: [String]) async throws {
      let outcome = try await Program.run(arguments + ["--output", "json"], environment: ["KEELSON_DIR": "/nonexistent"], limitSeconds: 10)
      try expectError(outcome, status: 2)
      let text = try await Program.run(arguments, environment: ["KEELSON_DIR": "/nonexistent"], limitSeconds: 10)
      #expect(text.status == 2 && !text.errors.isEmpty && text.output.isEmpty)
    }

    @Test func `three replicas, blocks of 4096 bytes, all of it over IPv6`() async throws {
      try await TestDev.with(options: ["--listen", "::1"]) { dev in
        let volume = try await dev.create("six", replicas: 3, blockSize: 4096)
        #expect(volume["state"] == "healthy" && volume["replicas"].array.count == 3 && volume["block_size"].int == 4096)
        #expect(volume["paths"][0]["adrfam"] == "ipv6" && volume["paths"][0]["traddr"] == "::1")
        let host = try await BlockAccess.connect(to: volume)
        #expect(host.blockSizeBytes == 4096 && host.sizeBytes == 64 << 20)
        try await Pattern.write(0..<16, seed: 6, to: host)
        #expect(try await Pattern.mismatches(0..<16, seed: 6, in: host) == [])
        host.close()
        let bench = try await dev.json("bench", "six", "--rw", "randwrite", "--verify", "--size", "16MiB", "--runtime", "1")
        #expect(bench["verify"]["errors"].int == 0 && bench["verify"]["blocks"].int > 0)
        let path = volume["paths"][0]
        let direct = try await dev.json(
          "bench", "nvme-tcp://[::1]:\(path["trsvcid"].string)/\(path["subnqn"].string)", "--size", "16MiB", "--runtime", "1", "--digests")
        #expect(direct["jobs"][0]["read"]["total_ios"].int > 0 && direct["errors"].int == 0)
        #expect(try await dev.stop() == 0)
        for node in ["node-1", "node-2", "node-3"] {
          let replica = try BlockAccess.replica(ofVolume: volume["id"].string, poolPath: dev.poolPath(node))
          #expect(replica.blockSizeBytes == 4096 && replica.sizeBytes == 64 << 20)
          replica.close()
        }
      }
    }

    @Test func `nodes announce another address than they listen on`() async throws {
      try await TestDev.with(nodes: 2, options: ["--advertise", "::1"]) { dev in
        let volume = try await dev.create("away")
        #expect(volume["paths"].array.map(\.["traddr"].string) == ["::1", "127.0.0.1"])
        #expect(volume["paths"].array.map(\.["adrfam"].string) == ["ipv6", "ipv4"])
        // Tools on this side use the address that nodes use among themselves.
        let bench = try await dev.json("bench", "away", "--rw", "randwrite", "--verify", "--size", "4MiB", "--runtime", "1")
        #expect(bench["verify"]["errors"].int == 0)
      }
    }
  }
}

/// The outcome is an error as programs get it: `{"error":{code,message,hint}}`, on standard output, with this status.
func expectError(
  _ outcome: Program.Outcome, status: Int32, code: String? = nil, sourceLocation: SourceLocation = #_sourceLocation
) throws {
  #expect(outcome.status == status, "\(outcome.output)\(outcome.errors)", sourceLocation: sourceLocation)
  let json = try outcome.json()
  #expect(json.keys == ["error"], "\(json)", sourceLocation: sourceLocation)
  let error = json["error"]
  #expect(error.keys == ["code", "message", "hint"], "\(json)", sourceLocation: sourceLocation)
  #expect(!error["message"].string.isEmpty, sourceLocation: sourceLocation)
  if let code { #expect(error["code"].string == code, "\(json)", sourceLocation: sourceLocation) }
}

extension JSON: ExpressibleByStringLiteral {
  init(stringLiteral value: String) { self = .string(value) }
}
