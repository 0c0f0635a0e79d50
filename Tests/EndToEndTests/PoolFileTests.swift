import Foundation
import Testing

extension EndToEnd {
  /// A pool file that is not a sound pool is refused and left as it is.
  @Suite(.serialized) struct PoolFileTests {
    @Test func `a truncated, foreign or corrupt pool file is refused and never written to`() async throws {
      let folder = FileManager.default.temporaryDirectory.appending(path: "keelson-e2e-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      let sound = folder.appending(path: "sound.pool")

      let made = try await node(folder, pool: sound, ["--pool-size", "64MiB"], limitSeconds: 2)
      #expect(made.status == 124, "it ran until it was stopped: \(made.errors)")
      #expect(FileManager.default.fileExists(atPath: sound.path))
      let bytes = try Data(contentsOf: sound)

      var variants: [(name: String, bytes: Data, says: [String])] = []
      variants.append(("truncated", bytes.prefix(32 << 20), ["smaller", "truncated", "short", "bytes"]))
      variants.append(("stub", bytes.prefix(5000), ["pool"]))
      variants.append(("empty", Data(), ["pool", "empty"]))
      variants.append(("text", Data(repeating: UInt8(ascii: "x"), count: 64 << 20), ["unknown kind"]))
      var corrupt = bytes
      for offset in 0..<(1 << 20) where bytes[offset] != 0 { corrupt[offset] ^= 0x55 }
      corrupt.replaceSubrange(0..<16, with: bytes[0..<16])
      variants.append(("corrupt", corrupt, ["corrupt", "checksum", "damaged"]))

      for variant in variants {
        let file = folder.appending(path: "\(variant.name).pool")
        try variant.bytes.write(to: file)
        for options in [[], ["--pool-size", "64MiB"]] {
          let outcome = try await node(folder, pool: file, options, limitSeconds: 10)
          #expect(outcome.status == 1, "\(variant.name): \(outcome.errors)")
          #expect(outcome.errors.contains(file.path), "\(variant.name): \(outcome.errors)")
          #expect(variant.says.contains { outcome.errors.contains($0) }, "\(variant.name): \(outcome.errors)")
          #expect(try Data(contentsOf: file) == variant.bytes, "\(variant.name) was changed")
        }
      }
      let missing = try await node(folder, pool: folder.appending(path: "missing.pool"), [], limitSeconds: 10)
      #expect(missing.status == 1 && missing.errors.contains("missing.pool"))
      #expect(!FileManager.default.fileExists(atPath: folder.appending(path: "missing.pool").path))
    }

    @Test func `a pool belongs to one process at a time`() async throws {
      try await TestDev.with(nodes: 1) { dev in
        let folder = URL(filePath: dev.directory)
        let outcome = try await node(folder, pool: URL(filePath: dev.poolPath("node-1")), [], limitSeconds: 10)
        #expect(outcome.status == 1 && outcome.errors.contains(dev.poolPath("node-1")), "\(outcome.errors)")
      }
    }

    private func node(_ folder: URL, pool: URL, _ options: [String], limitSeconds: Int) async throws -> Program.Outcome {
      let port = try Machine.freePorts(1)
      return try await Program.run(
        [
          "node", "--name", "tester", "--store", "sqlite:\(folder.path)/test.db", "--listen", "127.0.0.1:\(port)",
          "--discovery-port", "none", "--pool", "disk=\(pool.path)",
        ] + options, limitSeconds: limitSeconds)
    }
  }
}
