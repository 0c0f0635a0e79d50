import Foundation
import Glibc
import Testing

extension EndToEnd {
  /// Nodes of a replicated volume are killed and stopped under load, in every combination. `KEELSON_KILLS=50` for more than three rounds.
  @Suite(.serialized) struct KillRoundsTests {
    private static let rounds = unsafe getenv("KEELSON_KILLS").flatMap { Int(unsafe String(cString: $0)) } ?? 3
    private static let loadBytes = 32 << 20
    /// Three times the lease of a nexus.
    private static let stopSeconds = 6.0

    /// With ordinary disks every acknowledged write is there; with those that lose their cache every durable one is, and the load
    /// writes nothing else. No help, and no more copied than was written.
    @Test(arguments: [false, true]) func `volumes survive every combination of kill -9 and SIGSTOP, and are healthy again`(
      isDrill: Bool
    ) async throws {
      try await TestDev.with { dev in
        // More than the load ever writes, so that a full copy would be seen.
        for (name, replicas) in [("two", 2), ("three", 3)] {
          _ = try await dev.create(name, size: "256MiB", replicas: replicas)
          _ = try await dev.json("bench", name, "--rw", "write", "--bs", "1m", "--size", "96MiB", "--one-pass")
        }
        let nodes = try await TestNodes(of: dev, isDrill: isDrill)
        do {
          try nodes.startAll()
          for name in ["two", "three"] { try await dev.await("healthy", of: name) }
          for round in 0..<Self.rounds { try await run(round, dev, nodes, isDrill: isDrill) }
        } catch {
          throw TimedOut(description: "\(error)\n\(nodes.logs())")
        }
        _ = await nodes.stopAll()
        for name in ["two", "three"] { try await expectEqual(name, dev) }
      }
    }

    private func run(_ round: Int, _ dev: TestDev, _ nodes: TestNodes, isDrill: Bool) async throws {
      let name = round % 2 == 0 ? "two" : "three"
      let volume = try await dev.volume(name)
      let before = try await dev.json("rebuild", "list").array.count
      let load = try dev.begin(
        arguments: ["bench", name, "--rw", "randwrite", "--iodepth", "16", "--verify", "--size", "\(Self.loadBytes)", "--runtime", "9s"]
          + (isDrill ? ["--fua"] : []) + ["--output", "json"])
      try await Task.sleep(for: .seconds(1))
      switch round % 3 {
      case 0:
        for node in nodes.names.shuffled() {
          await nodes.kill9([node])
          try await Task.sleep(for: .milliseconds(Int.random(in: 0...800)))
          try nodes.start(node)
          try await Task.sleep(for: .milliseconds(Int.random(in: 0...2500)))
        }
      case 1:
        for victims in [[volume.nexusNode, volume.otherNodes[0]], nodes.names] {
          await nodes.kill9(victims)
          try await Task.sleep(for: .milliseconds(Int.random(in: 0...500)))
          try nodes.startAll()
          try await Task.sleep(for: .milliseconds(Int.random(in: 500...3000)))
        }
      default:
        for node in [volume.otherNodes[0], volume.nexusNode] {
          nodes.send(SIGSTOP, to: [node])
          try await Task.sleep(for: .seconds(Self.stopSeconds))
          nodes.send(SIGCONT, to: [node])
          try await Task.sleep(for: .milliseconds(Int.random(in: 0...1000)))
        }
      }
      let outcome = try await load.outcome()
      try #require(outcome.status == 0, "round \(round) of \(name): \(outcome.output.suffix(3000))\(outcome.errors)")
      let report = try outcome.json()
      #expect(report["verify"]["errors"].int == 0 && report["verify"]["blocks"].int > 100, "round \(round): \(report["verify"])")
      for name in ["two", "three"] { try await dev.await("healthy", of: name, limitSeconds: 90) }
      for rebuild in try await dev.json("rebuild", "list").array.dropFirst(before) {
        #expect(rebuild["kind"] == "recorded", "round \(round): \(rebuild)")
        #expect(rebuild["bytes_sent"].int <= Self.loadBytes, "round \(round): \(rebuild)")
      }
    }

    /// All replicas of a volume that nobody serves hold the same.
    private func expectEqual(_ name: String, _ dev: TestDev) async throws {
      let volume = try await dev.volume(name)
      var first: [[UInt8]] = []
      for node in [volume.nexusNode] + volume.otherNodes {
        let replica = try BlockAccess.replica(ofVolume: volume["id"].string, poolPath: dev.poolPath(node))
        var pieces: [[UInt8]] = []
        for piece in 0..<96 { pieces.append(try await replica.read(1 << 20, at: UInt64(piece) << 20)) }
        replica.close()
        if first.isEmpty { first = pieces }
        #expect(pieces.indices.filter { pieces[$0] != first[$0] } == [], "MiB of \(name) on \(node)")
      }
    }
  }
}
