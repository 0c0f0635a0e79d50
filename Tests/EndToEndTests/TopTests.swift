import Foundation
import Glibc
import Testing

extension EndToEnd {
  @Suite(.serialized) struct TopTests {
    @Test func `top shows what a volume does, by volume and by node, and names a node that is gone`() async throws {
      try await TestDev.with { dev in
        let volume = try await dev.create("db", size: "64MiB")
        let quiet = try await dev.json("top", "--interval", "200ms")
        #expect(quiet["nodes"].array.map(\.["name"].string) == ["node-1", "node-2", "node-3"])
        #expect(quiet["nodes"].array.allSatisfy { $0["trouble"] == .null && $0["pool_bytes"].int > 0 })
        #expect(quiet["volumes"].array.map(\.["name"].string) == ["db"])
        #expect(quiet["volumes"][0]["node"] == volume["nexus"]["node"] && quiet["volumes"][0]["state"] == "healthy")
        #expect(quiet["volumes"][0]["write"]["operations_per_second"].double == 0 && quiet["volumes"][0]["write"]["p99_seconds"] == .null)

        async let load = dev.json("bench", "db", "--rw", "randwrite", "--bs", "4k", "--size", "32MiB", "--runtime", "20")
        let busy = try await eventually("top sees the load") { () -> JSON? in
          let seen = try await dev.json("top", "--interval", "1s")
          return seen["volumes"][0]["write"]["operations_per_second"].double > 0 ? seen : nil
        }
        let write = busy["volumes"][0]["write"]
        #expect(abs(write["bytes_per_second"].double / write["operations_per_second"].double - 4096) < 1)
        #expect(write["mean_seconds"].double > 0 && write["p99_seconds"].double > 0)
        // The benchmark reads only the beginning, to see whether there is a filesystem.
        #expect(busy["volumes"][0]["read"]["operations_per_second"].double < write["operations_per_second"].double)
        let serving = try #require(busy["nodes"].array.first { $0["name"] == volume["nexus"]["node"] })
        #expect(serving["write"]["operations_per_second"].double > 0 && serving["connections"].int > 0)
        let other = try #require(busy["nodes"].array.first { $0["name"].string == volume.otherNodes.first })
        #expect(other["write"]["operations_per_second"].double == 0)
        #expect(other["replica_write"]["operations_per_second"].double > 0, "its replica gets every write")
        let text = try await dev.run("top", "--interval", "200ms", "--count", "2").output
        #expect(text.components(separatedBy: "VOLUME").count == 3 && text.contains("W P99") && text.contains("REPLICA R/S"))
        #expect(try await load["errors"].int == 0)

        try dev.pauseSupervisor()
        let victim = try #require(
          ["node-1", "node-2", "node-3"].first { node in !volume["replicas"].array.contains { $0["node"].string == node } })
        kill(try await dev.process(of: victim), SIGKILL)
        let without = try await dev.json("top", "--interval", "200ms")
        #expect(without["nodes"].array.filter { $0["trouble"] != .null }.map(\.["name"].string) == [victim])
        #expect(without["volumes"][0]["name"] == "db")
        let told = try await dev.run("top")
        #expect(told.status == 0 && told.output.contains("! node \(victim): "))
        try dev.resumeSupervisor()
      }
    }
  }
}
