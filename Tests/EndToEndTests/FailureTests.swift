import Foundation
import Glibc
import Synchronization
import Testing

extension EndToEnd {
  /// Processes and the state store go away under load.
  @Suite(.serialized) struct FailureTests {
    @Test func `kill -9 of a replica's node fails no write, and the replica comes back with only what it missed`() async throws {
      try await TestDev.with { dev in
        let volume = try await dev.create("busy", size: "256MiB")
        _ = try await dev.json("bench", "busy", "--rw", "write", "--bs", "1m", "--size", "128MiB", "--one-pass")
        // Long enough for the activity log to let go of that.
        try await Task.sleep(for: .seconds(4))
        let lost = volume.otherNodes[0]
        let process = try await dev.process(of: lost)
        let bench = try dev.begin(
          "bench", "busy", "--rw", "randwrite", "--bs", "4k", "--iodepth", "16", "--runtime", "4", "--size", "16MiB", "--verify",
          "--output", "json")
        try await Task.sleep(for: .seconds(1.5))
        try dev.pauseSupervisor()
        #expect(kill(process, SIGKILL) == 0)
        let outcome = try await bench.outcome()
        #expect(outcome.status == 0, "\(outcome.output.suffix(3000))\(outcome.errors)")
        let report = try outcome.json()
        #expect(report["errors"].int == 0 && report["verify"]["errors"].int == 0 && report["verify"]["blocks"].int > 1000)
        let degraded = try await dev.await("degraded", of: "busy")
        #expect(degraded.replicaState(on: lost) == "absent" && degraded["message"].string.contains(lost))
        let explanation = try await dev.json("volume", "explain", "busy")
        #expect(explanation["why"].array.contains { $0.string.contains(lost) } && explanation["next"].array.count == 1, "\(explanation)")

        let watch = try dev.begin("rebuild", "list", "--watch", "--output", "json")
        try dev.resumeSupervisor()
        let after = try await dev.await("healthy", of: "busy")
        let seen = try await eventually("the watch shows the end") { () -> [JSON]? in
          let frames = try watch.output.split(separator: "\n").map { try JSON(String($0)) }
          return frames.last?[0]["state"] == "done" ? frames : nil
        }
        #expect(seen.contains { $0[0]["state"] == "running" }, "\(seen)")
        watch.send(SIGTERM)
        #expect(after["replicas"] == volume["replicas"])
        let rebuild = try #require(try await dev.rebuilds(of: "busy").last)
        #expect(rebuild["state"] == "done" && rebuild["kind"] == "recorded" && rebuild["node"].string == lost, "\(rebuild)")
        #expect(rebuild["bytes_sent"].int > 0 && rebuild["bytes_sent"].int <= 16 << 20, "no more than was written: \(rebuild)")
        #expect(rebuild["bytes_to_do"].int <= 24 << 20, "in whole regions: \(rebuild)")

        // It is a member like the others: alone it holds everything.
        #expect(try await dev.stop() == 0)
        let first = try BlockAccess.replica(ofVolume: volume["id"].string, poolPath: dev.poolPath(volume.nexusNode))
        let second = try BlockAccess.replica(ofVolume: volume["id"].string, poolPath: dev.poolPath(lost))
        for piece in 0..<128 {
          let offset = UInt64(piece) << 20
          #expect(try await first.read(1 << 20, at: offset) == second.read(1 << 20, at: offset), "MiB \(piece)")
        }
        first.close()
        second.close()
      }
    }

    @Test func `kill -9 of the nexus's node is a pause, and every acknowledged write is there`() async throws {
      try await TestDev.with { dev in
        let volume = try await dev.create("moved")
        let process = try await dev.process(of: volume.nexusNode)
        let host = try await BlockAccess.connect(to: volume)
        try await Pattern.write(0..<16, seed: 6, to: host)
        async let writing: Void = Pattern.write(16..<400, seed: 6, to: host)
        try await Task.sleep(for: .milliseconds(100))
        #expect(kill(process, SIGKILL) == 0)
        try await writing
        try await dev.awaitReturn(of: volume.nexusNode, after: process)
        #expect(try await Pattern.mismatches(0..<400, seed: 6, in: host) == [])
        let after = try await dev.await("healthy", of: "moved")
        #expect(after.nexusNode != volume.nexusNode, "the other node serves it now")
        // And once more.
        let second = try await dev.process(of: after.nexusNode)
        #expect(kill(second, SIGKILL) == 0)
        try await Pattern.write(400..<410, seed: 6, to: host)
        #expect(try await Pattern.mismatches(0..<410, seed: 6, in: host) == [])
        host.close()
      }
    }

    @Test func `a benchmark lives through kill -9 of the nexus's node`() async throws {
      try await TestDev.with { dev in
        let volume = try await dev.create("measured")
        let process = try await dev.process(of: volume.nexusNode)
        let bench = try dev.begin(
          "bench", "measured", "--rw", "randrw", "--verify", "--size", "16MiB", "--runtime", "5", "--output", "json")
        try await Task.sleep(for: .seconds(1))
        #expect(kill(process, SIGKILL) == 0)
        let outcome = try await bench.outcome()
        #expect(outcome.status == 0, "\(outcome)")
        let report = try outcome.json()
        #expect(report["errors"].int == 0 && report["verify"]["errors"].int == 0)
        #expect(report["reconnects"].int >= 1 && report["longest_pause_ns"].int > 0)
      }
    }

    @Test func `of three replicas one may be lost; with two lost nothing is served until one is back`() async throws {
      try await TestDev.with { dev in
        let volume = try await dev.create("three", replicas: 3)
        // One path alone, so that what it says is heard.
        let host = try await BlockAccess.connect(path: volume["paths"][0])
        try await Pattern.write(0..<16, seed: 10, to: host)
        let processes = [try await dev.process(of: volume.otherNodes[0]), try await dev.process(of: volume.otherNodes[1])]
        try dev.pauseSupervisor()
        #expect(kill(processes[0], SIGKILL) == 0)
        try await Pattern.write(0..<64, seed: 11, to: host)
        #expect(try await Pattern.mismatches(0..<64, seed: 11, in: host) == [])
        let degraded = try await dev.await("degraded", of: "three")
        #expect(degraded["replicas"].array.map(\.["state"].string).sorted() == ["absent", "in-sync", "in-sync"])

        let lossTime = ContinuousClock.now
        #expect(kill(processes[1], SIGKILL) == 0)
        let isAcknowledged = Mutex(false)
        async let writing: Void = {
          try await Pattern.write(0..<8, seed: 12, to: host)
          isAcknowledged.withLock { $0 = true }
        }()
        try await dev.await("blocked", of: "three")
        // Commands wait inside; after that, and within 20 s, they are told that the path is no good (R12).
        let (status, _) = await host.perform(.read, at: 0, byteCount: Pattern.blockBytes)
        let waited = ContinuousClock.now - lossTime
        #expect(status == .inaccessible && waited > .seconds(10) && waited < .seconds(22), "\(status) after \(waited)")
        #expect(!isAcknowledged.withLock { $0 }, "one replica alone acknowledges nothing")
        try await eventually("the path is inaccessible") {
          dev.log(of: volume.nexusNode).contains("its path is inaccessible") ? true : nil
        }
        let later = ContinuousClock.now
        #expect(await host.perform(.read, at: 0, byteCount: Pattern.blockBytes).0 == .inaccessible)
        #expect(ContinuousClock.now - later < .seconds(2), "nobody waits on a path that is inaccessible")
        try dev.resumeSupervisor()
        try await writing
        try await dev.await("healthy", of: "three", limitSeconds: 60)
        #expect(try await Pattern.mismatches(0..<8, seed: 12, in: host) == [])
        #expect(try await Pattern.mismatches(8..<64, seed: 11, in: host) == [])
        host.close()
      }
    }

    @Test func `while the state store is away I-O goes on and a membership change waits`() async throws {
      try await TestDev.with { dev in
        let volume = try await dev.create("alone")
        let lost = volume.otherNodes[0]
        let process = try await dev.process(of: lost)
        let host = try await BlockAccess.connect(to: volume)
        try await Pattern.write(0..<4, seed: 7, to: host)
        let script = """
          import os, sqlite3, sys, time
          store = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
          store.execute("BEGIN EXCLUSIVE")
          print("held", flush=True)
          for _ in range(600):
            if os.path.exists(sys.argv[2]): break
            time.sleep(0.05)
          store.execute("COMMIT")
          """
        let release = dev.directory + "/release"
        let holder = try Program.start("/usr/bin/python3", ["-c", script, dev.directory + "/store.db", release])
        try await eventually("the store is held") { holder.output.contains("held") ? true : nil }
        // All members are there: nothing to ask the store for.
        try await Pattern.write(4..<24, seed: 7, to: host)
        #expect(try await Pattern.mismatches(0..<24, seed: 7, in: host) == [])

        #expect(kill(process, SIGKILL) == 0)
        let isAcknowledged = Mutex(false)
        async let writing: Void = {
          try await Pattern.write(24..<32, seed: 7, to: host)
          isAcknowledged.withLock { $0 = true }
        }()
        // Reads need no change of the membership; what a member missed is not acknowledged before the store knows it.
        #expect(try await Pattern.mismatches(0..<4, seed: 7, in: host) == [])
        try await Task.sleep(for: .seconds(1.5))
        #expect(!isAcknowledged.withLock { $0 })
        try Data().write(to: URL(filePath: release))
        try await writing
        #expect(await holder.status() == 0)
        #expect(try await Pattern.mismatches(0..<32, seed: 7, in: host) == [])
        host.close()
        try await dev.await("healthy", of: "alone")
        #expect(try await dev.rebuilds(of: "alone").map(\.["node"].string) == [lost])
        // What nodes had to say meanwhile has arrived.
        try await dev.awaitReturn(of: lost, after: process)
        #expect(try await dev.create("later")["state"] == "healthy")
      }
    }

    @Test func `only a nexus may write a replica`() async throws {
      try await TestDev.with { dev in
        let volume = try await dev.create("mine")
        let replica = try #require(
          try await dev.json("replica", "list").array.first { $0["node"].string == volume.otherNodes[0] })
        let nodes = try await dev.json("node", "list").array
        let address = try #require(nodes.first { $0["name"] == replica["node"] })["addresses"][0]
        let place = "nvme-tcp://\(address["traddr"].string):\(address["trsvcid"].string)/\(replica["subnqn"].string)"
        for name in [[], ["--host-nqn", "nqn.2014-08.org.nvmexpress:uuid:6a1c2f7e-0000-4000-8000-000000000001"]] {
          let outcome = try await Program.run(["bench", place, "--runtime", "1", "--output", "json"] + name, limitSeconds: 20)
          try expectError(outcome, status: 1)
          #expect(outcome.output.contains("refused this host"), "\(outcome.output)")
        }
        #expect(try await dev.volume("mine")["state"] == "healthy")
        let found = try await BlockAccess.discover(at: address)
        #expect(found.filter { $0.contains("replica") } == [], "replicas are not in discovery")
        let nexusAddress = volume["paths"][0]
        #expect(try await BlockAccess.discover(at: nexusAddress).contains(nexusAddress["subnqn"].string))
      }
    }
  }
}
