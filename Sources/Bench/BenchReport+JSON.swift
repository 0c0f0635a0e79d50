import Metrics

extension BenchReport {
  static let percentiles: [Double] = [1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99, 99.5, 99.9, 99.95, 99.99]
  /// What fio puts into `error`: EIO for a failed request, EILSEQ for a wrong block.
  private static let inputOutputError: UInt64 = 5
  private static let verifyError: UInt64 = 84

  /// The report for programs: the layout and units of `fio --output-format=json` with `group_reporting`, so all jobs are one
  /// entry of `jobs`; bandwidth `bw` is KiB/s, `runtime` milliseconds, `*_ns` nanoseconds. `verify` (null-free: absent
  /// without `--verify`) and `errors` stand at the top and in the entry.
  public func json() -> String {
    var writer = JSONWriter()
    writer.object { root in
      root.member("target", target)
      root.array("jobs") { jobs in
        jobs.object { job in
          job.member("jobname", "bench")
          job.member("groupid", UInt64(0))
          job.member("error", errorNumber)
          job.member("elapsed", (runtimeNanoseconds + 999_999_999) / 1_000_000_000)
          options(&job)
          Self.direction(&job, "read", reads, runtimeNanoseconds)
          Self.direction(&job, "write", writes, runtimeNanoseconds)
          job.object("sync") { sync in
            sync.member("total_ios", flushes.operationCount)
            Self.latency(&sync, "lat_ns", flushes.latencies, hasPercentiles: true)
          }
          job.member("job_runtime", runtimeNanoseconds / 1_000_000)
          processor(&job)
          outcome(&job)
        }
      }
      outcome(&root)
    }
    return writer.text + "\n"
  }

  private var errorNumber: UInt64 {
    if errorCount > 0 { return Self.inputOutputError }
    return (verification?.errorCount ?? 0) > 0 ? Self.verifyError : 0
  }

  /// fio gives options as text.
  private func options(_ job: inout JSONWriter) {
    job.object("job options") { options in
      options.member("rw", plan.pattern.rawValue)
      if plan.pattern == .randrw { options.member("rwmixread", "\(plan.readPercent)") }
      options.member("bs", "\(plan.blockBytes)")
      options.member("iodepth", "\(plan.depth)")
      options.member("numjobs", "\(plan.jobCount)")
      if let size = plan.sizeBytes { options.member("size", "\(size)") }
      if let runtime = plan.runtimeNanoseconds { options.member("runtime", "\(Figures.fixed(Double(runtime) / 1e9, decimals: 3))") }
      options.member("time_based", plan.stopsAfterOnePass ? "0" : "1")
      options.member("randseed", "\(plan.seed)")
      if plan.forceUnitAccess { options.member("sync", "dsync") }
      if plan.flushEveryWrites > 0 { options.member("fsync", "\(plan.flushEveryWrites)") }
      if plan.flushAtEnd { options.member("end_fsync", "1") }
      if plan.verify { options.member("verify", "pattern") }
    }
  }

  private static func direction(_ job: inout JSONWriter, _ name: String, _ direction: Direction, _ runtimeNanoseconds: UInt64) {
    let isUsed = direction.operationCount > 0
    job.object(name) { object in
      object.member("io_bytes", direction.byteCount)
      object.member("io_kbytes", direction.byteCount >> 10)
      object.member("bw_bytes", UInt64(direction.bytesPerSecond))
      object.member("bw", UInt64(direction.bytesPerSecond / 1024))
      object.member("iops", direction.operationsPerSecond)
      object.member("runtime", isUsed ? runtimeNanoseconds / 1_000_000 : 0)
      object.member("total_ios", direction.operationCount)
      object.member("short_ios", UInt64(0))
      object.member("drop_ios", UInt64(0))
      latency(&object, "clat_ns", direction.latencies, hasPercentiles: true)
      latency(&object, "lat_ns", direction.latencies, hasPercentiles: true)
    }
  }

  private static func latency(_ object: inout JSONWriter, _ name: String, _ latencies: LatencyHistogram, hasPercentiles: Bool) {
    object.object(name) { latency in
      latency.member("min", latencies.minimumNanoseconds)
      latency.member("max", latencies.maximumNanoseconds)
      latency.member("mean", latencies.meanNanoseconds)
      latency.member("stddev", latencies.standardDeviationNanoseconds)
      latency.member("N", latencies.count)
      if !hasPercentiles || latencies.count == 0 { return }
      latency.object("percentile") { percentile in
        for percent in percentiles { percentile.member(Figures.fixed(percent, decimals: 6), latencies.percentile(percent)) }
      }
    }
  }

  private func processor(_ job: inout JSONWriter) {
    guard let processorTime, runtimeNanoseconds > 0 else { return }
    job.member("usr_cpu", Double(processorTime.userNanoseconds) * 100 / Double(runtimeNanoseconds))
    job.member("sys_cpu", Double(processorTime.systemNanoseconds) * 100 / Double(runtimeNanoseconds))
    job.member("ctx", processorTime.voluntaryContextSwitches + processorTime.involuntaryContextSwitches)
  }

  private func outcome(_ object: inout JSONWriter) {
    if let verification {
      object.object("verify") { verify in
        verify.member("blocks", verification.blockCount)
        verify.member("errors", verification.errorCount)
        verify.member("checked_in_run", verification.checkedInRunCount)
        verify.member("uncertain", verification.uncertainBlockCount)
        verify.array("first_errors") { list in
          for mismatch in verification.mismatches {
            list.object { entry in
              entry.member("offset", mismatch.offsetBytes)
              entry.member("expected", mismatch.expectedText)
              entry.member("found", mismatch.foundText)
            }
          }
        }
      }
    }
    object.member("errors", errorCount)
    object.object("error_statuses") { statuses in
      for error in errors { statuses.member("\(error.status)", error.count) }
    }
    if let firstError {
      object.object("first_error") { first in
        first.member("operation", "\(firstError.operation)")
        first.member("offset", firstError.offsetBytes)
        first.member("bytes", firstError.byteCount)
        first.member("status", "\(firstError.status)")
        first.member("message", firstError.status.sentence)
        first.member("after_ns", firstError.afterNanoseconds)
      }
    }
    object.member("gave_up", gaveUp)
    object.member("busy_retries", busyRetryCount)
  }
}
