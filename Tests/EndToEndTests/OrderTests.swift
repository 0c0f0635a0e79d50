import Control
import Foundation
import Glibc
import Testing

/// What operators ask of volumes that run.
extension EndToEnd {
  @Suite(.serialized) struct OrderTests {
    /// B is away, A writes alone and is gone, B is back first: blocked and explained. Forced, the volume goes on from B: what A alone holds
    /// never appears, and A's replica is not touched until it is given up.
    @Test func `both-down-in-turn, forced`() async throws {
      try await TestDev.with(nodes: 2) { dev in
        let created = try await dev.create("db", size: "64MiB")
        let (a, b) = (created.nexusNode, created.otherNodes[0])
        let nodes = try await TestNodes(of: dev)
        // In the place of the one in keelson dev.
        let storePath = DevDirectory(path: dev.directory).storePath
        let store = try SQLiteStore(path: storePath)
        let controller = Controller(store: store, name: "test")
        controller.start()
        defer {
          controller.stop()
          store.close()
        }
        do {
          try nodes.startAll()
          try await dev.await("healthy", of: "db")
          try await write(0..<32, seed: 1, dev)
          await nodes.kill9([b])
          try await dev.await("degraded", of: "db")
          // Where B has data, and where it has none.
          try await write(16..<48, seed: 2, dev)
          _ = try await dev.json("rebuild", "pause", "db")
          try nodes.start(b)
          try await Task.sleep(for: .seconds(3))
          #expect(try await dev.volume("db").replicaState(on: b) == "absent", "rebuilds are paused")
          let paused = try await dev.json("volume", "explain", "db")
          #expect(paused["help"].string.contains("keelson rebuild resume db"), "\(paused)")
          // A's disk is lost: its node comes back without it.
          await nodes.kill9([a])
          try nodes.start(a, withPools: false)
          try await dev.await("blocked", of: "db", limitSeconds: 60)
          let refused = try await eventually("the nexus gives up waiting", limitSeconds: 40) { () -> JSON? in
            let told = try await dev.json("volume", "explain", "db")
            return told["help"].string.contains("keelson volume force db") ? told : nil
          }
          #expect(!refused["why"].array.isEmpty)
          let outlook = try await dev.run("volume", "force", "db", "--output", "json")
          #expect(outlook.status == 1 && outlook.output.contains("is lost to the volume"), "\(outlook.output)\(outlook.errors)")
          _ = try await dev.json("volume", "force", "db", "--replica", b, "--force", "--store", "sqlite:\(storePath)")
          let forced = try await dev.await("degraded", of: "db")
          #expect(forced.replicaState(on: a) == "left-behind" && forced.replicaState(on: b) == "in-sync", "\(forced)")
          try await expect(0..<32, seed: 1, dev)
          try await write(40..<44, seed: 3, dev)
          // The lost disk turns up.
          await nodes.kill9([a])
          try nodes.start(a)
          try await dev.await("degraded", of: "db", limitSeconds: 60)
          try await Task.sleep(for: .seconds(3))
          #expect(try await dev.volume("db").replicaState(on: a) == "left-behind")
          let replica = try await dev.json("replica", "discard", "db", a, "--force", "--store", "sqlite:\(storePath)")
          #expect(replica["node"].string == a)
          _ = try await dev.json("rebuild", "resume", "db")
          try await dev.await("healthy", of: "db", limitSeconds: 60)
          try await expect(0..<32, seed: 1, dev)
          try await expect(40..<44, seed: 3, dev)
          #expect(try await dev.rebuilds(of: "db").last?["kind"].string == "compared")
        } catch {
          throw TimedOut(description: "\(error)\n\(nodes.logs())")
        }
        _ = await nodes.stopAll()
        for node in [a, b] {
          let replica = try BlockAccess.replica(ofVolume: created["id"].string, poolPath: dev.poolPath(node))
          #expect(try await Pattern.mismatches(0..<32, seed: 1, in: replica) == [], "on \(node)")
          #expect(try await Pattern.mismatches(40..<44, seed: 3, in: replica) == [], "on \(node)")
          #expect(
            try await replica.read(Pattern.blockBytes, at: UInt64(45 * Pattern.blockBytes)).allSatisfy { $0 == 0 }, "a ghost on \(node)")
          replica.close()
        }
      }
    }

    @Test func `a scrub that is asked for is done once, and known after a restart`() async throws {
      try await TestDev.with { dev in
        _ = try await dev.create("db", size: "64MiB", replicas: 3)
        try await write(0..<32, seed: 4, dev)
        let done = try await dev.json("volume", "scrub", "db", "--watch", "--wait", "40s")
        #expect(done["state"].string == "done" && done["differing_blocks"].int == 0 && done["bytes_done"].int > 0, "\(done)")
        #expect(try await dev.stop() == 0)
        try await dev.start()
        let after = try await dev.await("healthy", of: "db")
        #expect(after["scrub"]["id"].string == done["id"].string && after["scrub"]["ended_at"].string == done["ended_at"].string)
      }
    }

    private func write(_ blocks: Range<Int>, seed: UInt64, _ dev: TestDev) async throws {
      let host = try await BlockAccess.connect(to: try await dev.volume("db"))
      try await Pattern.write(blocks, seed: seed, to: host)
      host.close()
    }

    private func expect(_ blocks: Range<Int>, seed: UInt64, _ dev: TestDev) async throws {
      let host = try await BlockAccess.connect(to: try await dev.volume("db"))
      #expect(try await Pattern.mismatches(blocks, seed: seed, in: host) == [])
      host.close()
    }
  }
}
