import Foundation
import Glibc
import Testing

extension EndToEnd {
  @Suite(.serialized) struct ClusterLifeTests {
    /// The nodes of a volume's replicas, once it is healthy and has so many.
    private func places(_ dev: TestDev, _ name: String, _ count: Int) async throws -> [String] {
      try await eventually("volume \(name) has \(count) replicas in sync", limitSeconds: 60) { () -> [String]? in
        let volume = try await dev.volume(name)
        let replicas = volume["replicas"].array
        let isSettled = volume["state"] == "healthy" && replicas.count == count && replicas.allSatisfy { $0["state"] == "in-sync" }
        return isSettled ? replicas.map { $0["node"].string }.sorted() : nil
      }
    }

    @Test func `replicas are added, moved off a node and taken away while the data stay`() async throws {
      try await TestDev.with(nodes: 4, poolSize: "1GiB") { dev in
        _ = try await dev.create("db", size: "64MiB")
        let written = try await dev.json("bench", "db", "--rw", "write", "--bs", "1m", "--size", "64MiB", "--one-pass")
        #expect(written.keys.isEmpty == false)
        #expect(try await dev.run("volume", "set", "db", "--replicas", "3").status == 0)
        let three = try await places(dev, "db", 3)
        try await eventually("the new one has all data") {
          let used = try await dev.json("pool", "list").array.filter { $0["size"].int - $0["free"].int >= 64 << 20 }.map {
            $0["node"].string
          }
          return used.sorted() == three ? true : nil
        }
        let drained = three[0]
        #expect(try await dev.run("node", "drain", drained, "--watch", limitSeconds: 60).status == 0)
        let moved = try await places(dev, "db", 3)
        #expect(!moved.contains(drained) && Set(moved).count == 3)
        #expect(try await dev.volume("db")["nexus"]["node"].string != drained)
        #expect(try await dev.run("node", "uncordon", drained).status == 0)
        #expect(try await dev.run("volume", "set", "db", "--replicas", "1").status == 0)
        _ = try await places(dev, "db", 1)
        try await eventually("the others' space is free again", limitSeconds: 60) {
          try await dev.json("pool", "list").array.filter { $0["free"].int < $0["size"].int }.count == 1 ? true : nil
        }
        try await eventually("all of it is among the events") { () -> Bool? in
          let reasons = try await dev.json("events", "--kind", "volume", "--name", "db").array.map { $0["reason"].string }
          return Set(reasons).isSuperset(of: ["Placed", "ReplicaAdded", "ReplicaDismissed", "ReplicaRemoved"]) ? true : nil
        }
      }
    }

    @Test func `after the state store was lost, what pools remember brings volumes back`() async throws {
      try await TestDev.with(nodes: 3, poolSize: "1GiB") { dev in
        let before = try await dev.create("db", size: "64MiB")
        let file = dev.directory + "/export.json"
        #expect(try await dev.run("export", file).status == 0)
        #expect(try await dev.json("get", "volume", "db")["spec"]["id"] == before["id"])
        #expect(try await dev.stop() == 0)
        for name in try FileManager.default.contentsOfDirectory(atPath: dev.directory) where name.contains(".db") {
          try FileManager.default.removeItem(atPath: dev.directory + "/" + name)
        }
        try await dev.start()
        #expect(try await dev.json("volume", "list") == .array([]))
        try await eventually("it is another store, as the pools remember") { () -> Bool? in
          let reasons = try await dev.json("events", "--kind", "node").array.map { $0["reason"].string }
          return reasons.contains("StoreForeign") ? true : nil
        }
        let plan = try await eventually("both replicas are told of", limitSeconds: 30) { () -> JSON? in
          // By the names that the pools remember.
          let plan = try await dev.json("recover", "--from-pools")
          return plan["volumes"].array.count == 1 ? plan : nil
        }
        #expect(plan["done"] == .bool(false) && plan["volumes"][0]["name"] == "db")
        #expect(try await dev.json("volume", "list") == .array([]), "nothing is done without --force")
        #expect(try await dev.run("recover", "--from-pools", "--force").status == 0)
        _ = try await places(dev, "db", 2)
        let after = try await dev.volume("db")
        #expect(after["id"] == before["id"])
        #expect(Set(after["replicas"].array.map { $0["id"].string }) == Set(before["replicas"].array.map { $0["id"].string }))
      }
    }

    @Test func `a store that went back serves nothing and deletes nothing, until it is confirmed`() async throws {
      try await TestDev.with(nodes: 3, poolSize: "1GiB") { dev in
        _ = try await dev.create("db", size: "64MiB")
        #expect(try await dev.stop() == 0)
        let (folder, copy) = (dev.directory, dev.directory + "/copy")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.contains(".db") }
        try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: true)
        for name in files { try FileManager.default.copyItem(atPath: folder + "/" + name, toPath: copy + "/" + name) }
        // What the copy does not know: who left the set, and what was written since.
        try await dev.start()
        // Its nexus may be elsewhere than before.
        let served = try await dev.await("healthy", of: "db")
        let lost = try #require(served.otherNodes.first)
        try dev.pauseSupervisor()
        kill(try await dev.process(of: lost), SIGKILL)
        try await eventually("it was written to", limitSeconds: 60) { () -> Bool? in
          let outcome = try await dev.run("bench", "db", "--rw", "write", "--bs", "1m", "--size", "8MiB", "--one-pass")
          return outcome.status == 0 ? true : nil
        }
        try await dev.await("degraded", of: "db")
        try dev.resumeSupervisor()
        #expect(try await dev.stop() == 0)
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) where name.contains(".db") {
          try FileManager.default.removeItem(atPath: folder + "/" + name)
        }
        for name in files { try FileManager.default.copyItem(atPath: copy + "/" + name, toPath: folder + "/" + name) }
        try await dev.start()
        let told = try await eventually("the volume says why it is not served") { () -> String? in
          let volume = try await dev.volume("db")
          let message = volume["message"].string
          return volume["state"] == "blocked" && message.contains("older than what the pools here remember") ? message : nil
        }
        #expect(told.contains("keelson recover --trust-store --force"))
        try await eventually("the controller holds everybody still") { () -> Bool? in
          try await dev.json("events", "--kind", "controller").array.contains { $0["reason"] == "StoreBehind" } ? true : nil
        }
        let refused = try await dev.run("volume", "delete", "db", "--force", "--wait", "3s", "--output", "json")
        #expect(refused.status != 0)
        let used = try await dev.json("pool", "list").array.filter { $0["promised"].int > 0 }
        #expect(used.count == 2, "both replicas are there")
        #expect(try await dev.run("recover", "--trust-store", "--force").status == 0)
        // Then what is asked for is done.
        try await eventually("the volume is deleted", limitSeconds: 60) { () -> Bool? in
          try await dev.json("volume", "list") == .array([]) ? true : nil
        }
      }
    }
  }
}
