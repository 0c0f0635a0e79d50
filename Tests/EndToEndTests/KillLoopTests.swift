import Foundation
import Glibc
import Testing

import enum Reactor.BlockStatus

extension EndToEnd {
  /// A node is killed under load and started again, over and over. `KEELSON_KILLS=100` for more than three times each.
  @Suite(.serialized) struct KillLoopTests {
    private static let rounds = unsafe getenv("KEELSON_KILLS").flatMap { Int(unsafe String(cString: $0)) } ?? 3

    /// With an ordinary disk what was acknowledged is there; with one that loses its cache what was flushed is. Nothing else appears.
    @Test(arguments: ["", "drill:"]) func `kill -9 of a node under load loses nothing it may not lose`(disk: String) async throws {
      try await TestDev.with(nodes: 1) { dev in
        let volume = try await dev.create("killed", size: "64MiB", replicas: 1)
        // From here on the node runs alone, so that nothing starts it again but this test.
        let found = Machine.processes(with: dev.directory).first { $0.arguments.contains("--name") }
        let arguments = try #require(found).arguments.dropFirst().filter { $0 != "--stop-with-stdin" }
          .map { $0.replacingOccurrences(of: "=\(dev.poolPath("node-1"))", with: "=\(disk)\(dev.poolPath("node-1"))") }
        #expect(disk.isEmpty || arguments.contains { $0.contains("=\(disk)") })
        #expect(try await dev.stop() == 0)

        var ledger = Ledger(losesCache: !disk.isEmpty)
        var log = ""
        for round in 0...Self.rounds {
          let node = try Program.start("/usr/bin/timeout", ["--foreground", "--kill-after=5", "120", Program.path] + arguments)
          let host = try await eventually("the volume is served in round \(round)", limitSeconds: 30) {
            try? await BlockAccess.connect(to: volume)
          }
          let wrong = try await ledger.check(host)
          #expect(wrong == [], "round \(round)")
          if round < Self.rounds {
            ledger.begin()
            let load = Load(ledger, host)
            async let ended: Void = load.run()
            try await Task.sleep(for: .milliseconds(Int.random(in: 200...900)))
            kill(try nodeProcess(dev), SIGKILL)
            await ended
            ledger = await load.ledger
            #expect(ledger.acknowledged > 0 && ledger.flushes > 0, "there was load in round \(round)")
          } else {
            kill(try nodeProcess(dev), SIGTERM)
          }
          host.close()
          _ = await node.status()
          log += node.errors
        }
        #expect(log.contains("drill") == !disk.isEmpty, "a drill is marked in the log, and nothing else is")
      }
    }

    private func nodeProcess(_ dev: TestDev) throws -> Int32 {
      try #require(
        Machine.processes(with: dev.directory).first { $0.arguments.contains("--name") && !$0.arguments[0].hasSuffix("timeout") }
      ).processID
    }

    /// What each sector may hold. A write covers one block of 4 KiB, with a number in every sector that no other write has.
    struct Ledger: Sendable {
      static let blockCount = 512
      static let blockBytes = 4096
      let losesCache: Bool
      /// What the last look found, per sector of 512 bytes.
      var found = [UInt64](repeating: 0, count: blockCount * 8)
      /// Numbers of this round per block, in order of writing, and how many of them are there for certain.
      var written = [[UInt64]](repeating: [], count: blockCount)
      var certain = [Int](repeating: 0, count: blockCount)
      var answered = [Int](repeating: 0, count: blockCount)
      var next: UInt64 = 1
      var acknowledged = 0
      var flushes = 0

      init(losesCache: Bool) { self.losesCache = losesCache }

      mutating func begin() {
        written = [[UInt64]](repeating: [], count: Self.blockCount)
        certain = [Int](repeating: 0, count: Self.blockCount)
        answered = certain
        (acknowledged, flushes) = (0, 0)
      }

      static func bytes(_ number: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(blockBytes)
        for _ in 0..<blockBytes / 8 { unsafe withUnsafeBytes(of: number.littleEndian) { unsafe bytes.append(contentsOf: $0) } }
        return bytes
      }

      /// Reads everything; what is not possible is told.
      mutating func check(_ host: BlockAccess) async throws -> [String] {
        var wrong: [String] = []
        let piece = 64
        for first in stride(from: 0, to: Self.blockCount, by: piece) {
          let bytes = try await host.read(piece * Self.blockBytes, at: UInt64(first * Self.blockBytes))
          for sector in 0..<piece * 8 {
            let words = (0..<64).map { word in
              (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[sector * 512 + word * 8 + $1]) << UInt64(8 * $1) }
            }
            let place = first * 8 + sector
            let block = place / 8
            let possible = written[block].dropFirst(max(certain[block] - 1, 0))
            let isPossible = possible.contains(words[0]) || certain[block] == 0 && words[0] == found[place]
            if !words.allSatisfy({ $0 == words[0] }) || !isPossible {
              wrong.append("sector \(place) holds \(Set(words).sorted().prefix(4)), not \(found[place]) or \(Array(possible.prefix(8)))")
            }
            found[place] = words[0]
          }
        }
        return Array(wrong.prefix(10))
      }
    }

    /// Writers with blocks of their own, and one who flushes.
    private actor Load {
      private(set) var ledger: Ledger
      private let host: BlockAccess
      private var isOver = false
      private static let writers = 8

      init(_ ledger: Ledger, _ host: BlockAccess) {
        self.ledger = ledger
        self.host = host
      }

      /// Until the node is gone.
      func run() async {
        await withTaskGroup(of: Void.self) { group in
          for writer in 0..<Self.writers { group.addTask { await self.write(writer) } }
          group.addTask { await self.flush() }
        }
      }

      private func write(_ writer: Int) async {
        var generator = SystemRandomNumberGenerator()
        while !isOver {
          let block = Int.random(in: 0..<Ledger.blockCount / Self.writers, using: &generator) * Self.writers + writer
          let number = ledger.next
          ledger.next += 1
          ledger.written[block].append(number)
          let order = ledger.written[block].count
          let (status, _) = await host.perform(
            .write, at: UInt64(block * Ledger.blockBytes), byteCount: Ledger.blockBytes, bytes: Ledger.bytes(number))
          guard status == .success else { return end() }
          ledger.acknowledged += 1
          ledger.answered[block] = order
          if !ledger.losesCache { ledger.certain[block] = order }
        }
      }

      private func flush() async {
        while !isOver {
          try? await Task.sleep(for: .milliseconds(20))
          let before = ledger.answered
          let (status, _) = await host.perform(.flush, at: 0, byteCount: 0)
          guard status == .success else { return end() }
          ledger.flushes += 1
          for block in before.indices { ledger.certain[block] = max(ledger.certain[block], before[block]) }
        }
      }

      private func end() { isOver = true }
    }
  }
}
