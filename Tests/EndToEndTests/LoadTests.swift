import Foundation
import Glibc
import Testing

extension EndToEnd {
  @Suite(.serialized) struct LoadTests {
    @Test func `twenty volumes at once, and nothing is left of them`() async throws {
      try await TestDev.with { dev in
        let names = (1...20).map { "v\($0)" }
        for round in 0..<2 {
          try await withThrowingTaskGroup(of: Void.self) { group in
            for name in names {
              group.addTask {
                let volume = try await dev.create(name, size: "16MiB", replicas: round + 2)
                #expect(volume["state"] == "healthy", "\(name)")
              }
            }
            try await group.waitForAll()
          }
          let list = try await dev.json("volume", "list").array
          #expect(Set(list.map(\.["name"].string)) == Set(names) && list.allSatisfy { $0["state"] == "healthy" })
          try await withThrowingTaskGroup(of: Void.self) { group in
            for name in names { group.addTask { _ = try await dev.json("volume", "delete", name, "--force") } }
            try await group.waitForAll()
          }
          #expect(try await dev.json("volume", "list") == .array([]))
          #expect(try await dev.json("replica", "list") == .array([]))
          let pools = try await dev.json("pool", "list").array
          #expect(pools.count == 3 && pools.allSatisfy { $0["size"] == $0["free"] }, "\(pools)")
        }
        #expect(try await dev.json("status")["problems"] == .array([]))
        for node in ["node-1", "node-2", "node-3"] { #expect(!dev.log(of: node).contains("atal error")) }
      }
    }

    /// Named scenario: each node's nexus writes to replicas of the others, all slots are taken, and one node is restarted. Nobody waits
    /// for slots in a circle (R14).
    @Test func `cross-nexus-full-load`() async throws {
      try await TestDev.with { dev in
        var nexusNodes: Set<String> = []
        let names = ["x", "y", "z"]
        for name in names { nexusNodes.insert(try await dev.create(name, size: "64MiB", replicas: 3).nexusNode) }
        #expect(nexusNodes.count == 3, "each node has a nexus: \(nexusNodes)")
        let loads = try names.map {
          try dev.begin(
            "bench", $0, "--rw", "randrw", "--rwmix", "30", "--bs", "16k", "--iodepth", "256", "--queues", "4", "--verify", "--size",
            "32MiB",
            "--runtime", "6", "--output", "json")
        }
        try await Task.sleep(for: .seconds(2))
        #expect(kill(try await dev.process(of: "node-2"), SIGKILL) == 0)
        for (name, load) in zip(names, loads) {
          let outcome = try await load.outcome()
          try #require(outcome.status == 0, "\(name): \(outcome.output.suffix(3000))\(outcome.errors)")
          let report = try outcome.json()
          #expect(report["errors"].int == 0 && report["verify"]["errors"].int == 0 && report["verify"]["blocks"].int > 100, "\(name)")
        }
        for name in names { try await dev.await("healthy", of: name) }
      }
    }

    @Test func `a volume deleted under load ends, and so does its load`() async throws {
      try await TestDev.with(nodes: 2) { dev in
        _ = try await dev.create("going")
        let bench = try dev.begin("bench", "going", "--rw", "randwrite", "--runtime", "20", "--output", "json")
        try await Task.sleep(for: .seconds(1))
        _ = try await dev.json("volume", "delete", "going", "--force")
        #expect(try await bench.outcome().status == 1)
        let pools = try await dev.json("pool", "list").array
        #expect(pools.allSatisfy { $0["size"] == $0["free"] })
      }
    }

    @Test func `nodes end with their supervisor, however it ends`() async throws {
      try await TestDev.with { dev in
        let volume = try await dev.create("left")
        let host = try await BlockAccess.connect(to: volume)
        try await Pattern.write(0..<4, seed: 8, to: host)
        try await dev.killSupervisor()
        host.close()
        try await eventually("the nodes end", limitSeconds: 20) { Machine.processes(with: dev.directory).isEmpty ? true : nil }
        // They ended in order: the volume is whole.
        try await dev.start()
        let after = try await dev.await("healthy", of: "left")
        let again = try await BlockAccess.connect(to: after)
        #expect(try await Pattern.mismatches(0..<4, seed: 8, in: again) == [])
        again.close()
      }
    }

    @Test func `idle daemons sleep and stay small`() async throws {
      try await TestDev.with { dev in
        let volume = try await dev.create("idle")
        let host = try await BlockAccess.connect(to: volume)
        try await Pattern.write(0..<64, seed: 9, to: host)
        try await Task.sleep(for: .seconds(1))
        let processes = Machine.processes(with: dev.directory).filter { !$0.arguments[0].hasSuffix("timeout") }.map(\.processID)
        try #require(processes.count == 4)
        let before = try processes.map { try Machine.processorTicks(of: $0) }
        try await Task.sleep(for: .seconds(5))
        for (process, ticks) in zip(processes, before) {
          let used = try Machine.processorTicks(of: process) - ticks
          let resident = try Machine.kibibytes("VmRSS", of: process)
          print("idle: process \(process) used \(used * 10) ms in 5 s, \(resident / 1024) MiB resident")
          #expect(used < 100, "it spins")
          #expect(resident > 0 && resident < 128 << 10)
        }
        host.close()
      }
    }
  }
}
