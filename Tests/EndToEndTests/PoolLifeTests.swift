import Foundation
import Testing

extension EndToEnd {
  /// What becomes of pools: full disks, larger disks, promises.
  @Suite(.serialized) struct PoolLifeTests {
    private func pool(_ dev: TestDev, _ node: String = "node-1") async throws -> JSON {
      try #require(try await dev.json("pool", "list").array.first { $0["node"].string == node })
    }

    @Test func `thick volumes take their space, thin ones a promise, and there is a limit to both`() async throws {
      try await TestDev.with(nodes: 1, poolSize: "512MiB") { dev in
        let made = try await dev.json("volume", "create", "thick", "--size", "128MiB", "--replicas", "1", "--thick")
        #expect(made["state"].string == "healthy")
        #expect(made["thick"] == .bool(true))
        try await eventually("its space is taken") { try await pool(dev)["allocated"].int == 128 << 20 ? true : nil }
        _ = try await dev.json("volume", "create", "thin", "--size", "1GiB", "--replicas", "1")
        let listed = try await eventually("both are promised") {
          let pool = try await pool(dev)
          return pool["promised"].int == 1152 << 20 ? pool : nil
        }
        #expect(listed["allocated"].int == 128 << 20 && listed["overcommit"].int == 1000)
        let refused = try await dev.run("volume", "create", "huge", "--size", "8GiB", "--replicas", "1")
        #expect(refused.status == 1 && refused.errors.contains("has promised 1.1 GiB of at most 4"), "\(refused.errors)")
        #expect(refused.errors.contains("hint: Delete volumes"))
        let thick = try await dev.run("volume", "create", "solid", "--size", "500MiB", "--replicas", "1", "--thick")
        #expect(thick.status == 1 && thick.errors.contains("free"), "\(thick.errors)")
        // As its node tells, by path and by name.
        let shown = try await dev.json("pool", "show", dev.poolPath("node-1"))
        #expect(shown["node"].string == "node-1" && shown["items"].array.count == 2 && shown["promised"].int == 1152 << 20)
        #expect(try await dev.json("pool", "show", "disk")["uuid"] == shown["uuid"])
        for command in ["check", "destroy", "grow"] {
          let outcome = try await dev.run("pool", command, dev.poolPath("node-1"))
          #expect(outcome.status == 1 && outcome.errors.contains("in use"), "\(command): \(outcome.errors)")
        }
        for name in ["thick", "thin"] { #expect(try await dev.run("volume", "delete", name, "--force").status == 0) }
        try await eventually("all is free again") {
          let pool = try await pool(dev)
          return pool["allocated"].int == 0 && pool["promised"].int == 0 ? true : nil
        }
        #expect(try await dev.stop() == 0)
        let checked = try await Program.run(["pool", "check", dev.poolPath("node-1")])
        #expect(checked.status == 0 && checked.output.contains("The pool is sound."), "\(checked.output)\(checked.errors)")
      }
    }

    @Test func `a node takes the space that its pool's file has gained`() async throws {
      try await TestDev.with(nodes: 1, poolSize: "256MiB") { dev in
        _ = try await dev.create("data", replicas: 1)
        let verified = try await dev.run("bench", "data", "--rw", "write", "--bs", "64k", "--one-pass", "--verify")
        #expect(verified.status == 0, "\(verified.output)\(verified.errors)")
        let before = try await pool(dev)["size"].int
        #expect(try await dev.stop() == 0)
        let file = try FileHandle(forUpdating: URL(filePath: dev.poolPath("node-1")))
        try file.truncate(atOffset: 2 << 30)
        try file.close()
        try await dev.start()
        let after = try await pool(dev)["size"].int
        #expect(before < 256 << 20 && after > 2000 << 20)
        #expect(dev.log(of: "node-1").contains("has grown: the pool took \(after - before) bytes and has \(after) now"))
        try await dev.await("healthy", of: "data")
        _ = try await dev.json("volume", "create", "more", "--size", "1GiB", "--replicas", "1", "--thick")
        #expect(try await dev.stop() == 0)
        let checked = try await Program.run(["pool", "check", dev.poolPath("node-1"), "--output", "json"])
        #expect(checked.status == 0, "\(checked.output)")
      }
    }

    @Test(.enabled(if: geteuid() == 0)) func `a pool whose disk takes no more says so with device, offset and operation`() async throws {
      try await TestDev.with(nodes: 1, poolSize: "256MiB") { dev in
        #expect(try await dev.stop() == 0)
        let folder = dev.directory + "/node-1"
        try FileManager.default.removeItem(atPath: dev.poolPath("node-1"))
        // The pool's file is sparse, and what it lies on is small. With checksums overwrites need records, too, and so checkpoints.
        let mounted = try await Program.start("/usr/bin/mount", ["-t", "tmpfs", "-o", "size=24m", "tmpfs", folder]).status()
        try #require(mounted == 0)
        do {
          let made = try await Program.run([
            "pool", "create", dev.poolPath("node-1"), "--name", "disk", "--size", "256MiB", "--integrity", "crc32c",
          ])
          #expect(made.status == 0, "\(made.errors)")
          try await dev.start()
          _ = try await dev.create("data", replicas: 1)
          let written = try await dev.run("bench", "data", "--rw", "write", "--bs", "64k", "--one-pass", "--size", "8MiB")
          #expect(written.status == 0, "\(written.errors)")
          let filled = try await Program.start("/usr/bin/dd", ["if=/dev/zero", "of=\(folder)/filler", "bs=64k"]).status()
          #expect(filled != 0, "there is no space left")
          let bench = try await dev.run("bench", "data", "--rw", "randwrite", "--bs", "4k", "--runtime", "20", "--size", "8MiB")
          #expect(bench.status != 0)
          // Data that find no room are their host's trouble. When the pool's own records find none it is over.
          var count = 0
          let faulted = try await eventually("the pool is faulted") {
            count += 1
            _ = try await dev.run("volume", "create", "more-\(count)", "--size", "1MiB", "--replicas", "1", "--no-wait")
            let pool = try await pool(dev)
            return pool["state"].string == "faulted" ? pool : nil
          }
          for words in ["could not write", "at offset", dev.poolPath("node-1"), "No space left on device"] {
            #expect(faulted["message"].string.contains(words), "\(words): \(faulted)")
          }
          let status = try await dev.run("status")
          #expect(status.output.contains("pool disk of node-1 is faulted: could not write"), "\(status.output)")
          // The node looks once a second.
          try await eventually("the log says so") { dev.log(of: "node-1").contains("it can only be read from now on") ? true : nil }
        } catch { Issue.record("\(error)\n\(dev.logs(maximumLines: 60))") }
        _ = try? await dev.stop()
        let unmounted = try await Program.start("/usr/bin/umount", [folder]).status()
        #expect(unmounted == 0)
      }
    }
  }
}
