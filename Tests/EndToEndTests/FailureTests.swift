import Foundation
import Glibc
import Synchronization
import Testing

extension EndToEnd {
  /// Processes and the state store go away under load.
  @Suite(.serialized) struct FailureTests {
    @Test func `kill -9 of a replica's node fails no write, and the replica stays out`() async throws {
      try await TestDev.with { dev in
        let volume = try await dev.create("busy")
        let lost = volume.otherNodes[0]
        let process = try await dev.process(of: lost)
        let bench = try dev.begin(
          "bench", "busy", "--rw", "randwrite", "--bs", "4k", "--iodepth", "16", "--runtime", "4", "--size", "32MiB", "--verify",
          "--output", "json")
        try await Task.sleep(for: .seconds(1.5))
        #expect(kill(process, SIGKILL) == 0)
        let outcome = try await bench.outcome()
        #expect(outcome.status == 0, "\(outcome.output.suffix(3000))\(outcome.errors)")
        let report = try outcome.json()
        #expect(report["errors"].int == 0 && report["verify"]["errors"].int == 0 && report["verify"]["blocks"].int > 1000)
        let degraded = try await dev.await("degraded", of: "busy")
        #expect(degraded.replicaState(on: lost) == "out" && degraded["message"].string.contains(lost))
        try await dev.awaitReturn(of: lost, after: process)

        let host = try await BlockAccess.connect(to: degraded)
        try await Pattern.write(0..<8, seed: 5, to: host)
        host.close()
        #expect(try await dev.stop() == 0)
        try await dev.start()
        let after = try await dev.await("degraded", of: "busy")
        #expect(after.replicaState(on: lost) == "out" && after.replicaState(on: volume.nexusNode) == "in-sync")
        let again = try await BlockAccess.connect(to: after)
        #expect(try await Pattern.mismatches(0..<8, seed: 5, in: again) == [])
        again.close()
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
        let after = try await dev.await("degraded", of: "moved")
        #expect(after.replicaState(on: volume.nexusNode) == "in-sync")
        // And once more, now that one replica is all there is.
        let second = try await dev.process(of: volume.nexusNode)
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

    @Test func `of three replicas two may be lost one after the other`() async throws {
      try await TestDev.with { dev in
        let volume = try await dev.create("three", replicas: 3)
        let host = try await BlockAccess.connect(to: volume)
        for (round, node) in volume.otherNodes.enumerated() {
          let process = try await dev.process(of: node)
          async let writing: Void = Pattern.write(0..<64, seed: UInt64(10 + round), to: host)
          #expect(kill(process, SIGKILL) == 0)
          try await writing
          #expect(try await Pattern.mismatches(0..<64, seed: UInt64(10 + round), in: host) == [])
          try await dev.awaitReturn(of: node, after: process)
          let after = try await dev.await("degraded", of: "three")
          #expect(after["replicas"].array.filter { $0["state"] == "in-sync" }.count == 2 - round)
        }
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
        let after = try await dev.await("degraded", of: "alone")
        #expect(after.replicaState(on: lost) == "out")
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
