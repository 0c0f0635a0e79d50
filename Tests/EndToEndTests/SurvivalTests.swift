import Foundation
import Glibc
import Testing

extension EndToEnd {
  /// What was acknowledged is there again, however everything stopped.
  @Suite(.serialized) struct SurvivalTests {
    @Test func `after a stop in order all replicas are equal and the volume is healthy again`() async throws {
      try await TestDev.with { dev in
        let volume = try await dev.create("kept")
        let host = try await BlockAccess.connect(to: volume)
        try await Pattern.write(0..<64, seed: 1, to: host)
        host.close()
        #expect(try await dev.stop() == 0)
        for node in [volume.nexusNode] + volume.otherNodes {
          let replica = try BlockAccess.replica(ofVolume: volume["id"].string, poolPath: dev.poolPath(node))
          #expect(try await Pattern.mismatches(0..<64, seed: 1, in: replica) == [], "on \(node)")
          replica.close()
        }
        for round in 0..<4 {
          try await dev.start()
          let again = try await dev.await("healthy", of: "kept")
          #expect(again["replicas"] == volume["replicas"] && again["paths"] == volume["paths"])
          if round == 0 {
            let host = try await BlockAccess.connect(to: again)
            #expect(try await Pattern.mismatches(0..<64, seed: 1, in: host) == [])
            host.close()
          }
          #expect(try await dev.stop() == 0)
        }
      }
    }

    @Test func `after kill -9 of everything the volume serves every acknowledged write by itself`() async throws {
      try await TestDev.with { dev in
        let volume = try await dev.create("hit")
        let idle = try await dev.create("idle")
        let host = try await BlockAccess.connect(to: volume)
        try await Pattern.write(0..<48, seed: 2, to: host)
        try await dev.killEverything()
        host.close()
        try await dev.start()
        let after = try await dev.await("degraded", of: "hit")
        #expect(after.replicaState(on: volume.nexusNode) == "in-sync")
        #expect(after.replicaState(on: volume.otherNodes[0]) == "out")
        #expect(after["message"].string.contains("uncleanly"))
        let again = try await BlockAccess.connect(to: after)
        #expect(try await Pattern.mismatches(0..<48, seed: 2, in: again) == [])
        again.close()
        // Nothing was ever written to it: its replicas cannot differ.
        let untouched = try await dev.await("healthy", of: "idle")
        #expect(untouched["replicas"] == idle["replicas"])
      }
    }

    @Test func `a volume in memory does not pretend to have kept its data`() async throws {
      try await TestDev.with(nodes: 2, poolSize: nil, options: ["--pool", "ram=mem:64MiB"]) { dev in
        let volume = try await dev.create("lost", size: "16MiB")
        #expect(try await dev.json("pool", "list").array.allSatisfy { $0["kind"] == "memory" })
        let host = try await BlockAccess.connect(to: volume)
        try await Pattern.write(0..<4, seed: 21, to: host)
        // One copy may go; then it is gone, even though its node is back.
        let process = try await dev.process(of: volume.otherNodes[0])
        #expect(kill(process, SIGKILL) == 0)
        try await Pattern.write(4..<8, seed: 21, to: host)
        try await dev.awaitReturn(of: volume.otherNodes[0], after: process)
        #expect(try await Pattern.mismatches(0..<8, seed: 21, in: host) == [])
        host.close()
        #expect(try await dev.volume("lost").replicaState(on: volume.otherNodes[0]) == "out")
        #expect(try await dev.stop() == 0)
        try await dev.start()
        let after = try await dev.await("blocked", of: "lost")
        #expect(after.replicaState(on: volume.nexusNode) == "faulted" && after["message"].string.contains("gone"), "\(after)")
        _ = try await dev.json("volume", "delete", "lost", "--force")
        #expect(try await dev.create("lost", size: "16MiB")["state"] == "healthy")
      }
    }

    /// The replica's node fails, writes go on, the nexus's node fails: the stale replica, back alone, must serve nothing.
    @Test func `a stale replica that comes back alone does not serve`() async throws {
      try await TestDev.with(nodes: 2) { dev in
        let volume = try await dev.create("both-down")
        let (nexusNode, replicaNode) = (volume.nexusNode, volume.otherNodes[0])
        let first = try await BlockAccess.connect(to: volume)
        try await Pattern.write(0..<8, seed: 3, to: first)
        first.close()
        // From here on the nodes run without their supervisor, so that nothing starts them again but this test.
        let arguments = Dictionary(
          uniqueKeysWithValues: Machine.processes(with: dev.directory).filter { $0.arguments.contains("--name") }.map {
            ($0.arguments[$0.arguments.firstIndex(of: "--name")! + 1], Array($0.arguments.dropFirst().filter { $0 != "--stop-with-stdin" }))
          })
        try #require(arguments.count == 2)
        #expect(try await dev.stop() == 0)
        func start(_ node: String) throws -> Program.Running {
          try Program.start("/usr/bin/timeout", ["--foreground", "--kill-after=5", "120", Program.path] + arguments[node]!)
        }
        func killNode(_ node: String) async throws {
          for process in Machine.processes(with: dev.directory)
          where process.arguments.contains(node) && !process.arguments[0].hasSuffix("timeout") {
            kill(process.processID, SIGKILL)
          }
        }
        var nexus = try start(nexusNode)
        var replica = try start(replicaNode)
        try await dev.await("healthy", of: "both-down")

        try await killNode(replicaNode)
        _ = await replica.status()
        let host = try await BlockAccess.connect(to: volume)
        try await Pattern.write(0..<8, seed: 4, to: host)
        try await killNode(nexusNode)
        _ = await nexus.status()
        host.close()

        replica = try start(replicaNode)
        let blocked = try await dev.await("blocked", of: "both-down")
        #expect(blocked.replicaState(on: replicaNode) == "out")
        #expect(blocked["message"].string.contains(nexusNode), "it says which node is missing: \(blocked)")
        #expect(blocked["paths"].array.allSatisfy { $0["ana_state"] != "optimized" })
        let view = try await dev.json("node", "list").array.first { $0["name"].string == replicaNode }
        var path = volume["paths"][0]
        if let address = view?["addresses"][0], case .object(var members) = path {
          members["trsvcid"] = address["trsvcid"]
          path = .object(members)
        }
        await #expect(throws: (any Error).self) { try await BlockAccess.connect(to: .object(["paths": .array([path])])).close() }
        let bench = try await dev.run("bench", "both-down", "--runtime", "1", "--output", "json")
        try expectError(bench, status: 1, code: "volume_not_served")

        nexus = try start(nexusNode)
        let after = try await dev.await("degraded", of: "both-down")
        #expect(after.replicaState(on: replicaNode) == "out" && after.replicaState(on: nexusNode) == "in-sync")
        let again = try await BlockAccess.connect(to: after)
        #expect(try await Pattern.mismatches(0..<8, seed: 4, in: again) == [])
        again.close()
        for node in [nexusNode, replicaNode] { try await killNode(node) }
        _ = await (nexus.status(), replica.status())
      }
    }
  }
}
