import Console
import Metrics

extension BenchReport {
  static let percentiles: [Double] = [1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99, 99.5, 99.9, 99.95, 99.99]
  /// What fio puts into `error`: EIO for a failed request, EILSEQ for a wrong block.
  private static let inputOutputError: Int64 = 5
  private static let verifyError: Int64 = 84

  /// The report for programs: the layout and units of `fio --output-format=json` with `group_reporting`, so all jobs are one
  /// entry of `jobs`; bandwidth `bw` is KiB/s, `runtime` milliseconds, `*_ns` nanoseconds. `verify` (null-free: absent
  /// without `--verify`) and `errors` stand at the top and in the entry.
  public func json() -> JSONValue {
    var job: [JSONValue.Member] = [
      .init("jobname", "bench"),
      .init("groupid", 0),
      .init("error", .integer(errorNumber)),
      .init("elapsed", .unsigned((runtimeNanoseconds + 999_999_999) / 1_000_000_000)),
      .init("job options", options),
      .init("read", json(of: reads)),
      .init("write", json(of: writes)),
      .init(
        "sync", ["total_ios": .unsigned(flushes.operationCount), "lat_ns": Self.json(of: flushes.latencies)]),
      .init("job_runtime", .unsigned(runtimeNanoseconds / 1_000_000)),
    ]
    job += processor + outcome
    return .object([.init("target", .string(target)), .init("jobs", [.object(job)])] + outcome)
  }

  private var errorNumber: Int64 {
    if errorCount > 0 { return Self.inputOutputError }
    return (verification?.errorCount ?? 0) > 0 ? Self.verifyError : 0
  }

  /// fio gives options as text.
  private var options: JSONValue {
    var texts: [(String, String)] = [("rw", plan.pattern.rawValue)]
    if plan.pattern == .randrw { texts.append(("rwmixread", "\(plan.readPercent)")) }
    texts += [("bs", "\(plan.blockBytes)"), ("iodepth", "\(plan.depth)"), ("numjobs", "\(plan.jobCount)")]
    if let size = plan.sizeBytes { texts.append(("size", "\(size)")) }
    if let runtime = plan.runtimeNanoseconds { texts.append(("runtime", DecimalText.fixed(Double(runtime) / 1e9, decimals: 3))) }
    texts += [("time_based", plan.stopsAfterOnePass ? "0" : "1"), ("randseed", "\(plan.seed)")]
    if plan.forceUnitAccess { texts.append(("sync", "dsync")) }
    if plan.flushEveryWrites > 0 { texts.append(("fsync", "\(plan.flushEveryWrites)")) }
    if plan.flushAtEnd { texts.append(("end_fsync", "1")) }
    if plan.verify { texts.append(("verify", "pattern")) }
    return .object(texts.map { .init($0.0, .string($0.1)) })
  }

  private func json(of direction: Direction) -> JSONValue {
    let isUsed = direction.operationCount > 0
    return [
      "io_bytes": .unsigned(direction.byteCount),
      "io_kbytes": .unsigned(direction.byteCount >> 10),
      "bw_bytes": .unsigned(UInt64(direction.bytesPerSecond)),
      "bw": .unsigned(UInt64(direction.bytesPerSecond / 1024)),
      "iops": .number(direction.operationsPerSecond),
      "runtime": .unsigned(isUsed ? runtimeNanoseconds / 1_000_000 : 0),
      "total_ios": .unsigned(direction.operationCount),
      "short_ios": 0,
      "drop_ios": 0,
      "clat_ns": Self.json(of: direction.latencies),
      "lat_ns": Self.json(of: direction.latencies),
    ]
  }

  private static func json(of latencies: LatencyHistogram) -> JSONValue {
    var members: [JSONValue.Member] = [
      .init("min", .unsigned(latencies.minimumNanoseconds)),
      .init("max", .unsigned(latencies.maximumNanoseconds)),
      .init("mean", .number(latencies.meanNanoseconds)),
      .init("stddev", .number(latencies.standardDeviationNanoseconds)),
      .init("N", .unsigned(latencies.count)),
    ]
    if latencies.count > 0 {
      let entries = percentiles.map { percent in
        JSONValue.Member(DecimalText.fixed(percent, decimals: 6), .unsigned(latencies.percentile(percent)))
      }
      members.append(.init("percentile", .object(entries)))
    }
    return .object(members)
  }

  private var processor: [JSONValue.Member] {
    guard let processorTime, runtimeNanoseconds > 0 else { return [] }
    return [
      .init("usr_cpu", .number(Double(processorTime.userNanoseconds) * 100 / Double(runtimeNanoseconds))),
      .init("sys_cpu", .number(Double(processorTime.systemNanoseconds) * 100 / Double(runtimeNanoseconds))),
      .init("ctx", .unsigned(processorTime.voluntaryContextSwitches + processorTime.involuntaryContextSwitches)),
    ]
  }

  private var outcome: [JSONValue.Member] {
    var members: [JSONValue.Member] = []
    if let verification {
      let mismatches = verification.mismatches.map { mismatch -> JSONValue in
        [
          "offset": .unsigned(mismatch.offsetBytes), "expected": .string(mismatch.expectedText), "found": .string(mismatch.foundText),
        ]
      }
      members.append(
        .init(
          "verify",
          [
            "blocks": .unsigned(verification.blockCount), "errors": .unsigned(verification.errorCount),
            "checked_in_run": .unsigned(verification.checkedInRunCount), "uncertain": .unsigned(verification.uncertainBlockCount),
            "first_errors": .array(mismatches),
          ]))
    }
    members.append(.init("errors", .unsigned(errorCount)))
    members.append(.init("error_statuses", .object(errors.map { .init("\($0.status)", .unsigned($0.count)) })))
    if let firstError {
      members.append(
        .init(
          "first_error",
          [
            "operation": .string("\(firstError.operation)"), "offset": .unsigned(firstError.offsetBytes),
            "bytes": .unsigned(firstError.byteCount), "status": .string("\(firstError.status)"),
            "message": .string(firstError.status.sentence), "after_ns": .unsigned(firstError.afterNanoseconds),
          ]))
    }
    members.append(.init("gave_up", .bool(gaveUp)))
    members.append(.init("busy_retries", .unsigned(busyRetryCount)))
    members.append(.init("reconnects", .unsigned(UInt64(pauses.count))))
    members.append(.init("longest_pause_ns", .unsigned(pauses.longestNanoseconds)))
    return members
  }
}
