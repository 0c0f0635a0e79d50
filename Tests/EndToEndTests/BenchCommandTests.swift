import Foundation
import Testing

extension EndToEnd {
  @Suite(.serialized) struct BenchCommandTests {
    @Test(arguments: ["io_uring", "libaio"])
    func `bench on a file: made, measured, verified, and not overwritten unless forced`(engine: String) async throws {
      let folder = FileManager.default.temporaryDirectory.appending(path: "keelson-e2e-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      let file = folder.appending(path: "file").path
      func bench(_ arguments: String...) async throws -> Program.Outcome {
        try await Program.run(["bench", file, "--io-engine", engine, "--output", "json"] + arguments, limitSeconds: 40)
      }
      try expectError(try await bench("--rw", "randread"), status: 1, code: "file_not_found")
      try expectError(try await bench("--rw", "write", "--runtime", "1"), status: 1, code: "size_missing")
      #expect(!FileManager.default.fileExists(atPath: file))

      let first = try await bench("--rw", "randwrite", "--size", "32MiB", "--runtime", "1", "--verify")
      #expect(first.status == 0, "\(first.output)\(first.errors)")
      try expectReport(try first.json(), reads: false, writes: true)
      let verify = try first.json()["verify"]
      #expect(verify["blocks"].int > 0 && verify["errors"].int == 0)

      let before = try Data(contentsOf: URL(filePath: file))
      try expectError(try await bench("--rw", "randwrite", "--runtime", "1"), status: 1, code: "foreign_content")
      #expect(try Data(contentsOf: URL(filePath: file)) == before)
      let reading = try await bench("--rw", "randread", "--bs", "16k", "--iodepth", "8", "--jobs", "2", "--runtime", "1")
      #expect(reading.status == 0)
      try expectReport(try reading.json(), reads: true, writes: false)
      #expect(try Data(contentsOf: URL(filePath: file)) == before)
      let forced = try await bench("--rw", "randrw", "--rwmix", "50", "--runtime", "1", "--force", "--verify")
      #expect(forced.status == 0, "\(forced.output)")
      try expectReport(try forced.json(), reads: true, writes: true)

      let text = try await Program.run(["bench", file, "--runtime", "1"], limitSeconds: 20)
      #expect(text.status == 0 && text.output.contains("IOPS") && text.output.contains("p99"))
    }

    @Test func `pool bench leaves a pool as it was`() async throws {
      let folder = FileManager.default.temporaryDirectory.appending(path: "keelson-e2e-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      let pool = folder.appending(path: "pool").path
      try expectError(try await Program.run(["pool", "bench", pool, "--size", "8MiB", "--output", "json"]), status: 1)
      let made = try await Program.run(["pool", "create", pool, "--size", "64MiB", "--output", "json"])
      #expect(made.status == 0, "\(made.output)")
      try expectError(try await Program.run(["pool", "bench", pool, "--output", "json"]), status: 2)
      for state in ["fresh", "clone"] {
        let run = try await Program.run(
          [
            "pool", "bench", pool, "--state", state, "--size", "8MiB", "--rw", "randwrite", "--runtime", "1", "--verify", "--output",
            "json",
          ])
        #expect(run.status == 0, "\(run.output)\(run.errors)")
        try expectReport(try run.json(), reads: false, writes: true)
        #expect(try run.json()["verify"]["errors"].int == 0)
      }
      // Too large for the pool: said so, and cleaned up.
      try expectError(
        try await Program.run(["pool", "bench", pool, "--state", "written", "--size", "96MiB", "--output", "json"]), status: 1)
      let last = try await Program.run(["pool", "bench", pool, "--state", "thick", "--size", "48MiB", "--runtime", "1", "--output", "json"])
      #expect(last.status == 0, "\(last.output)")
    }

    /// fio's field names and units.
    private func expectReport(_ report: JSON, reads: Bool, writes: Bool) throws {
      #expect(report["jobs"].array.count == 1)
      let job = report["jobs"][0]
      #expect(job["error"].int == 0 && !job["jobname"].string.isEmpty)
      for (name, isUsed) in [("read", reads), ("write", writes)] {
        let direction = job[name]
        #expect(direction.keys.isSuperset(of: ["io_bytes", "bw_bytes", "bw", "iops", "runtime", "total_ios", "clat_ns", "lat_ns"]))
        #expect((direction["total_ios"].int > 0) == isUsed && (direction["iops"].double > 0) == isUsed)
        guard isUsed else { continue }
        let latency = direction["clat_ns"]
        #expect(latency.keys.isSuperset(of: ["min", "max", "mean", "stddev", "N", "percentile"]))
        #expect(latency["percentile"].keys.isSuperset(of: ["50.000000", "99.000000", "99.900000"]))
        let (middle, high) = (latency["percentile"]["50.000000"].double, latency["percentile"]["99.900000"].double)
        #expect(latency["min"].double <= middle && middle <= high && latency["N"].int == direction["total_ios"].int)
      }
    }
  }
}
