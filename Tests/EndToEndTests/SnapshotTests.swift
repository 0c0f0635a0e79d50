import Foundation
import Glibc
import Synchronization
import Testing

extension EndToEnd {
  /// Snapshots, clones and growth with real processes.
  @Suite(.serialized) struct SnapshotTests {
    private static let blocks = 16

    /// Writes rounds over the first blocks, one block after the other, each round with another seed, until it is stopped; finds its way
    /// again when the nexus moves.
    private final class Rounds: Sendable {
      private let isStopped = Atomic(false)
      /// Blocks acknowledged in all.
      let acknowledged = Atomic(0)
      private let dev: TestDev
      private let name: String

      init(_ dev: TestDev, _ name: String) {
        self.dev = dev
        self.name = name
      }

      func stop() { isStopped.store(true, ordering: .relaxed) }

      func run() async throws {
        var host: BlockAccess?
        var next = 0
        while !isStopped.load(ordering: .relaxed) {
          do {
            if host == nil { host = try await connect() }
            let (round, block) = (next / SnapshotTests.blocks, next % SnapshotTests.blocks)
            try await host?.write(
              Pattern.block(block, seed: UInt64(round + 1)), at: UInt64(block * Pattern.blockBytes), limitSeconds: 5)
            next += 1
            acknowledged.store(next, ordering: .relaxed)
          } catch {
            host?.close()
            host = nil
            try await Task.sleep(for: .milliseconds(300))
          }
        }
        host?.close()
      }

      private func connect() async throws -> BlockAccess { try await SnapshotTests.connect(dev, name) }
    }

    /// By the path that is optimized.
    static func connect(_ dev: TestDev, _ name: String) async throws -> BlockAccess {
      let volume = try await dev.volume(name)
      let paths = volume["paths"].array
      guard let path = paths.first(where: { $0["ana_state"] == "optimized" }) else { throw TimedOut(description: "no path is optimized") }
      return try await BlockAccess.connect(path: path)
    }

    /// Which blocks were written when the volume was like that: all of a round up to some block, and the round before behind it.
    private func moment(_ volume: BlockAccess, upTo rounds: Int) async throws -> Int? {
      var held: [[UInt8]] = []
      for block in 0..<Self.blocks { held.append(try await volume.read(Pattern.blockBytes, at: UInt64(block * Pattern.blockBytes))) }
      for round in stride(from: rounds, through: 0, by: -1) where held[0] == Pattern.block(0, seed: UInt64(round + 1)) {
        let count = (0..<Self.blocks).prefix { held[$0] == Pattern.block($0, seed: UInt64(round + 1)) }.count
        let isWhole = (count..<Self.blocks).allSatisfy {
          round == 0 ? held[$0].allSatisfy { $0 == 0 } : held[$0] == Pattern.block($0, seed: UInt64(round))
        }
        return isWhole ? round * Self.blocks + count : nil
      }
      return nil
    }

    @Test func `snapshots under load are moments of the volume, also when the node of its nexus is killed in the middle`() async throws {
      try await TestDev.with { dev in
        _ = try await dev.create("busy", size: "64MiB", replicas: 3)
        let rounds = Rounds(dev, "busy")
        let load = Task { try await rounds.run() }
        try await eventually("writes are acknowledged") { rounds.acknowledged.load(ordering: .relaxed) > 2 * Self.blocks ? true : nil }
        let before = rounds.acknowledged.load(ordering: .relaxed)
        let quiet = try await dev.json("snapshot", "create", "busy", "quiet")
        #expect(quiet["state"] == "ready" && quiet["size"].int == 64 << 20)
        let after = rounds.acknowledged.load(ordering: .relaxed)

        let disturbedBefore = rounds.acknowledged.load(ordering: .relaxed)
        let nexus = try await dev.volume("busy").nexusNode
        let process = try await dev.process(of: nexus)
        let command = try dev.begin("snapshot", "create", "busy", "disturbed")
        try await Task.sleep(for: .milliseconds(150))
        #expect(kill(process, SIGKILL) == 0)
        let outcome = try await command.outcome()
        #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors)")
        let disturbedAfter = rounds.acknowledged.load(ordering: .relaxed)
        rounds.stop()
        try await load.value
        try await dev.await("healthy", of: "busy", limitSeconds: 60)

        for (name, least, most) in [("quiet", before, after), ("disturbed", disturbedBefore, disturbedAfter)] {
          let clone = try await dev.json("volume", "create", "from-\(name)", "--from-snapshot", name)
          #expect(clone["state"] == "healthy" && clone["size"].int == 64 << 20, "\(clone)")
          let host = try await Self.connect(dev, "from-\(name)")
          let found = try #require(try await moment(host, upTo: (most + 1) / Self.blocks), "\(name) is no moment of the volume")
          // The write under way may or may not be in it.
          #expect(found >= least && found <= most + 1, "\(name): \(found), not from \(least) to \(most)")
          try await Pattern.write(0..<2, seed: 99, to: host)
          #expect(try await Pattern.mismatches(0..<2, seed: 99, in: host) == [])
          host.close()
        }
        // Neither the clones nor the load changed what the snapshots hold.
        let again = try await dev.json("volume", "create", "again", "--from-snapshot", "quiet", "--size", "96MiB")
        let host = try await Self.connect(dev, "again")
        #expect(again["size"].int == 96 << 20 && host.sizeBytes == 96 << 20)
        let found = try #require(try await moment(host, upTo: (after + 1) / Self.blocks))
        #expect(found >= before && found <= after + 1)
        try await Pattern.write(1500..<1501, seed: 5, to: host)
        host.close()

        let refused = try await dev.run("volume", "delete", "busy", "--force")
        #expect(refused.status != 0 && refused.errors.contains("has snapshots"), "\(refused)")
        for name in ["quiet", "disturbed"] { _ = try await dev.json("snapshot", "delete", name) }
        #expect(try await dev.json("snapshot", "list").array.isEmpty)
        let kept = try await Self.connect(dev, "again")
        #expect(try await moment(kept, upTo: (after + 1) / Self.blocks) == found, "a clone does not need its snapshot any more")
        kept.close()
        _ = try await dev.json("volume", "delete", "busy", "--force")
      }
    }

    @Test func `a volume grows under its host, is cloned as it is, and the clone needs nothing of it`() async throws {
      try await TestDev.with { dev in
        let volume = try await dev.create("grown", size: "16MiB", replicas: 2)
        let host = try await Self.connect(dev, "grown")
        try await Pattern.write(0..<8, seed: 1, to: host)
        let larger = try await dev.json("volume", "resize", "grown", "32MiB")
        #expect(larger["size"].int == 32 << 20)
        try await eventually("the host sees the new size") { host.sizeBytes == 32 << 20 ? true : nil }
        let last = (32 << 20) / Pattern.blockBytes - 1
        try await Pattern.write(last..<last + 1, seed: 1, to: host)
        let smaller = try await dev.run("volume", "resize", "grown", "16MiB")
        #expect(smaller.status != 0 && smaller.errors.contains("cannot be made smaller"), "\(smaller)")

        let clone = try await dev.json("volume", "create", "copy", "--from-volume", "grown")
        #expect(clone["id"] != volume["id"] && clone["size"].int == 32 << 20)
        try await Pattern.write(0..<8, seed: 2, to: host)
        let copy = try await Self.connect(dev, "copy")
        #expect(try await Pattern.mismatches(0..<8, seed: 1, in: copy) == [])
        #expect(try await Pattern.mismatches(last..<last + 1, seed: 1, in: copy) == [])
        #expect(try await Pattern.mismatches(0..<8, seed: 2, in: host) == [])
        host.close()
        // The snapshot that it was made of goes by itself; until then the volume stays.
        try await eventually("the volume can be deleted") {
          try await dev.run("volume", "delete", "grown", "--force").status == 0 ? true : nil
        }
        #expect(try await Pattern.mismatches(0..<8, seed: 1, in: copy) == [])
        copy.close()
      }
    }
  }
}
