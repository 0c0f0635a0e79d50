import Foundation
import Glibc
import Testing

extension EndToEnd {
  /// What was acknowledged is there again, however everything stopped.
  @Suite(.serialized) struct SurvivalTests {
    /// Where a volume is to be had, wherever its nexus is just now.
    private func places(_ volume: JSON) -> Set<String> {
      Set(volume["paths"].array.map { "\($0["node"].string) \($0["traddr"].string):\($0["trsvcid"].string) \($0["subnqn"].string)" })
    }

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
          #expect(again["replicas"] == volume["replicas"] && places(again) == places(volume))
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
        let after = try await dev.await("healthy", of: "hit")
        #expect(after["replicas"] == volume["replicas"] && places(after) == places(volume))
        #expect(try await dev.rebuilds(of: "hit") == [], "nobody left: what may differ is in the activity logs")
        let again = try await BlockAccess.connect(to: after)
        #expect(try await Pattern.mismatches(0..<48, seed: 2, in: again) == [])
        again.close()
        let untouched = try await dev.await("healthy", of: "idle")
        #expect(untouched["replicas"] == idle["replicas"])
        #expect(try await dev.stop() == 0)
        for node in [volume.nexusNode] + volume.otherNodes {
          let replica = try BlockAccess.replica(ofVolume: volume["id"].string, poolPath: dev.poolPath(node))
          #expect(try await Pattern.mismatches(0..<48, seed: 2, in: replica) == [], "on \(node)")
          replica.close()
        }
      }
    }

    @Test func `a volume in memory does not pretend to have kept its data`() async throws {
      try await TestDev.with(nodes: 2, poolSize: nil, options: ["--pool", "ram=mem:64MiB"]) { dev in
        let volume = try await dev.create("lost", size: "16MiB")
        #expect(try await dev.json("pool", "list").array.allSatisfy { $0["kind"] == "memory" })
        let host = try await BlockAccess.connect(to: volume)
        try await Pattern.write(0..<4, seed: 21, to: host)
        // One copy may go: it is made anew when its node is back, and gets everything.
        let process = try await dev.process(of: volume.otherNodes[0])
        #expect(kill(process, SIGKILL) == 0)
        try await Pattern.write(4..<8, seed: 21, to: host)
        try await dev.awaitReturn(of: volume.otherNodes[0], after: process)
        #expect(try await Pattern.mismatches(0..<8, seed: 21, in: host) == [])
        host.close()
        try await dev.await("healthy", of: "lost")
        let rebuild = try #require(try await dev.rebuilds(of: "lost").last)
        #expect(rebuild["kind"] == "full" && rebuild["bytes_sent"].int >= 8 * Pattern.blockBytes, "\(rebuild)")
        // With both gone there is nothing left, whatever else comes and goes on their nodes.
        #expect(try await dev.stop() == 0)
        try await dev.start()
        let after = try await dev.await("blocked", of: "lost")
        #expect(after.replicaState(on: volume.nexusNode) == "faulted" && after["message"].string.contains("gone"), "\(after)")
        _ = try await dev.create("other", size: "16MiB")
        try await Task.sleep(for: .seconds(2))
        #expect(try await dev.volume("lost")["state"] == "blocked")
        _ = try await dev.json("volume", "delete", "lost", "--force")
        #expect(try await dev.create("lost", size: "16MiB")["state"] == "healthy")
      }
    }

    @Test(arguments: [true, false]) func `a pool restored from an old copy serves nothing old, and gets what it lacks`(
      isOfNexus: Bool
    ) async throws {
      try await TestDev.with(nodes: 2) { dev in
        let volume = try await dev.create("old")
        let node = isOfNexus ? volume.nexusNode : volume.otherNodes[0]
        let first = try await BlockAccess.connect(to: volume)
        try await Pattern.write(0..<16, seed: 30, to: first)
        first.close()
        #expect(try await dev.stop() == 0)
        let copy = dev.directory + "/copy.pool"
        try FileManager.default.copyItem(atPath: dev.poolPath(node), toPath: copy)
        try await dev.start()
        let second = try await BlockAccess.connect(to: try await dev.await("healthy", of: "old"))
        try await Pattern.write(4..<24, seed: 31, to: second)
        second.close()
        #expect(try await dev.stop() == 0)
        try FileManager.default.removeItem(atPath: dev.poolPath(node))
        try FileManager.default.moveItem(atPath: copy, toPath: dev.poolPath(node))
        try await dev.start()
        let after = try await dev.await("healthy", of: "old", limitSeconds: 60)
        #expect(try await dev.rebuilds(of: "old").map(\.["node"].string) == [node])
        let host = try await BlockAccess.connect(to: after)
        #expect(try await Pattern.mismatches(0..<4, seed: 30, in: host) == [])
        #expect(try await Pattern.mismatches(4..<24, seed: 31, in: host) == [])
        host.close()
        #expect(try await dev.stop() == 0)
        let replica = try BlockAccess.replica(ofVolume: volume["id"].string, poolPath: dev.poolPath(node))
        #expect(try await Pattern.mismatches(4..<24, seed: 31, in: replica) == [])
        replica.close()
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
        let nodes = try await TestNodes(of: dev)
        try nodes.startAll()
        try await dev.await("healthy", of: "both-down")

        await nodes.kill9([replicaNode])
        let host = try await BlockAccess.connect(to: volume)
        try await Pattern.write(0..<8, seed: 4, to: host)
        await nodes.kill9([nexusNode])
        host.close()

        try nodes.start(replicaNode)
        let blocked = try await dev.await("blocked", of: "both-down")
        #expect(blocked.replicaState(on: replicaNode) == "absent")
        #expect(blocked["message"].string.contains(nexusNode), "it says which node is missing: \(blocked)")
        #expect(blocked["paths"].array.allSatisfy { $0["ana_state"] != "optimized" })
        let view = try await dev.json("node", "list").array.first { $0["name"].string == replicaNode }
        var path = volume["paths"][0]
        if let address = view?["addresses"][0], case .object(var members) = path {
          members["trsvcid"] = address["trsvcid"]
          path = .object(members)
        }
        let standby = try await BlockAccess.connect(path: path)
        #expect(await standby.perform(.read, at: 0, byteCount: Pattern.blockBytes).0 == .inaccessible, "a way, and nothing at its end")
        standby.close()
        let bench = try await dev.run("bench", "both-down", "--runtime", "1", "--output", "json")
        try expectError(bench, status: 1, code: "volume_not_served")

        let explanation = try await dev.json("volume", "explain", "both-down")
        #expect(explanation["state"] == "blocked" && explanation["help"].string.contains("Bring back \(nexusNode)"), "\(explanation)")

        try nodes.start(nexusNode)
        let after = try await dev.await("healthy", of: "both-down")
        let again = try await BlockAccess.connect(to: after)
        #expect(try await Pattern.mismatches(0..<8, seed: 4, in: again) == [])
        again.close()
        _ = await nodes.stopAll()
        for node in nodes.names {
          let copy = try BlockAccess.replica(ofVolume: volume["id"].string, poolPath: dev.poolPath(node))
          #expect(try await Pattern.mismatches(0..<8, seed: 4, in: copy) == [], "on \(node)")
          copy.close()
        }
      }
    }
  }
}
