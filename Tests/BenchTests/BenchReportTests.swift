import Foundation
import Metrics
import Reactor
import Testing

@testable import Bench

@Suite struct BenchReportTests {
  /// Two jobs of one second: 1000 reads of 100 us and 500 writes of 1 ms each.
  private func report(
    verification: BenchJobResult.Verification? = nil, errors: [BenchJobResult.StatusCount] = [], firstError: BenchError? = nil
  ) -> BenchReport {
    let results = (0..<2).map { _ in
      let meter = BenchMeter()
      for _ in 0..<1000 { meter.reads.record(100_000) }
      for _ in 0..<500 { meter.writes.record(1_000_000) }
      return BenchJobResult(
        meter: meter, runtimeNanoseconds: 1_000_000_000, errors: errors, firstError: firstError, gaveUp: false, verification: verification)
    }
    let plan = BenchPlan(pattern: .randrw, readPercent: 66, jobCount: 2, runtimeNanoseconds: 1_000_000_000, verify: verification != nil)
    return BenchReport(
      target: "db", plan: plan, results: results,
      processorTime: ProcessorTime(
        userNanoseconds: 250_000_000, systemNanoseconds: 500_000_000, voluntaryContextSwitches: 10, involuntaryContextSwitches: 1))
  }

  private func parsed(_ report: BenchReport) throws -> [String: Any] {
    let object = try JSONSerialization.jsonObject(with: Data(report.json().text().utf8))
    return try #require(object as? [String: Any])
  }

  @Test func jobsAreAddedUp() {
    let report = report()
    #expect(report.reads.operationCount == 2000)
    #expect(report.reads.operationsPerSecond == 2000)
    #expect(report.reads.bytesPerSecond == 2000 * 4096)
    #expect(report.writes.operationCount == 1000)
    #expect(report.isClean)
  }

  @Test func jsonHasTheNamesAndUnitsOfFio() throws {
    let root = try parsed(report())
    let job = try #require((root["jobs"] as? [[String: Any]])?.first)
    let read = try #require(job["read"] as? [String: Any])
    #expect(read["iops"] as? Double == 2000)
    #expect(read["bw"] as? Int == 8000)
    #expect(read["bw_bytes"] as? Int == 8_192_000)
    #expect(read["io_bytes"] as? Int == 8_192_000)
    #expect(read["io_kbytes"] as? Int == 8000)
    #expect(read["total_ios"] as? Int == 2000)
    #expect(read["runtime"] as? Int == 1000)
    for name in ["clat_ns", "lat_ns"] {
      let latency = try #require(read[name] as? [String: Any])
      #expect(latency["min"] as? Int == 100_000)
      #expect(latency["max"] as? Int == 100_000)
      #expect(latency["mean"] as? Double == 100_000)
      #expect(latency["stddev"] as? Double == 0)
      #expect(latency["N"] as? Int == 2000)
      let percentiles = try #require(latency["percentile"] as? [String: Int])
      #expect(percentiles.count == 17)
      for name in ["1.000000", "50.000000", "99.000000", "99.900000", "99.990000"] { #expect(percentiles[name] == 100_000) }
    }
    let write = try #require(job["write"] as? [String: Any])
    #expect(write["iops"] as? Double == 1000)
    #expect(job["error"] as? Int == 0)
    #expect(job["usr_cpu"] as? Double == 25)
    #expect(job["sys_cpu"] as? Double == 50)
    #expect((job["job options"] as? [String: String])?["rw"] == "randrw")
    #expect((job["job options"] as? [String: String])?["bs"] == "4096")
    #expect(root["verify"] == nil)
    #expect(root["errors"] as? Int == 0)
  }

  @Test func verificationAndErrorsInJSON() throws {
    let mismatch = VerifyMismatch(offsetBytes: 8192, expectedVersion: 3, finding: .otherVersion(2))
    let report = report(
      verification: .init(blockCount: 40, checkedInRunCount: 5, uncertainBlockCount: 1, errorCount: 1, mismatches: [mismatch]),
      errors: [.init(status: .connectionLost, count: 3)],
      firstError: BenchError(operation: .write, offsetBytes: 4096, byteCount: 4096, status: .connectionLost, afterNanoseconds: 5_000_000))
    #expect(!report.isClean)
    let root = try parsed(report)
    let job = try #require((root["jobs"] as? [[String: Any]])?.first)
    for place in [root, job] {
      let verify = try #require(place["verify"] as? [String: Any])
      #expect(verify["blocks"] as? Int == 80)
      #expect(verify["errors"] as? Int == 2)
      let first = try #require((verify["first_errors"] as? [[String: Any]])?.first)
      #expect(first["offset"] as? Int == 8192)
      #expect(first["expected"] as? String == "version 3")
      #expect(first["found"] as? String == "version 2")
      #expect(place["errors"] as? Int == 6)
      #expect((place["error_statuses"] as? [String: Int])?["connectionLost"] == 6)
      #expect((place["first_error"] as? [String: Any])?["operation"] as? String == "write")
    }
    #expect(job["error"] as? Int == 5)
    let text = report.text()
    #expect(text.contains("verify: 80 blocks read back, 10 reads checked during the run, 2 ERRORS\n"))
    #expect(text.contains("  offset 8192: expected version 3, found version 2\n"))
    #expect(text.contains("  2 blocks were left out"))
    #expect(text.contains("errors: 6\n  6 times: the connection was lost"))
    #expect(text.contains("  the first: write of 4096 bytes at offset 4096, 5.00 ms after the start\n"))
  }

  @Test func textForPeople() {
    let lines = report().text().split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    #expect(lines[0] == "db: randrw, 66 % reads, 4 KiB blocks, 32 in flight, 2 jobs, 1.00 s")
    #expect(lines[2] == "       IOPS  MiB/s     mean      p50      p99    p99.9      max")
    #expect(lines[3] == "read   2000    7.8   100 us   100 us   100 us   100 us   100 us")
    #expect(lines[4] == "write  1000    3.9  1.00 ms  1.00 ms  1.00 ms  1.00 ms  1.00 ms")
    #expect(lines.contains("processor: user 25.0 %, system 50.0 %, 250.00 us per request"))
  }

  @Test func theDrawnHistogramShowsEveryRange() {
    let latencies = LatencyHistogram()
    for _ in 0..<90 { latencies.record(70_000) }
    for _ in 0..<9 { latencies.record(140_000) }
    latencies.record(1_000_000)
    #expect(
      BenchReport.drawn(latencies) == """
          65.5 us -  131 us   90.00 %   90.00 % ########################################
           131 us -  262 us    9.00 %   99.00 % ####
           262 us -  524 us    0.00 %   99.00 %
           524 us - 1.05 ms    1.00 %  100.00 % #

        """)
    let extremes = LatencyHistogram()
    extremes.record(0)
    extremes.record(.max)
    #expect(BenchReport.drawn(extremes).split(separator: "\n").count == 64)
  }

  @Test func anEmptyRunHasAReport() throws {
    let result = BenchJobResult(meter: BenchMeter(), runtimeNanoseconds: 0, errors: [], firstError: nil, gaveUp: false, verification: nil)
    let report = BenchReport(target: "a\"b\n", plan: BenchPlan(), results: [result])
    let root = try parsed(report)
    #expect(root["target"] as? String == "a\"b\n")
    #expect(report.text().contains("IOPS"))
  }

  @Test func theLiveLine() {
    var sample = BenchSample()
    sample.intervalNanoseconds = 500_000_000
    sample.readCount = 21_050
    sample.readBytes = 21_050 * 4096
    sample.meanLatencyNanoseconds = 760_000
    sample.phase = .running
    #expect(
      sample.text(elapsedNanoseconds: 3_200_000_000, runtimeNanoseconds: 10_000_000_000)
        == "3 s of 10 s: 42.1k IOPS, 164.5 MiB/s, 760 us")
    sample.errorCount = 2
    sample.phase = .verifying
    sample.blocksReadBack = 5
    sample.blocksToReadBack = 9
    sample.verifyErrorCount = 1
    #expect(
      sample.text(elapsedNanoseconds: 0, runtimeNanoseconds: nil) == "verifying: 5 of 9 blocks, 2 errors, 1 VERIFY ERRORS")
  }
}
