import Console
import Metrics

extension BenchReport {
  /// The report for people: what was done, a table, a latency histogram per direction, verification and errors.
  public func text() -> String {
    var text = "\(target): \(planText)\n\n"
    text += table()
    for (name, direction) in directions where direction.operationCount > 0 {
      text += "\n\(name) latency\n" + Self.drawn(direction.latencies)
    }
    if let processorTime, runtimeNanoseconds > 0 {
      let operations = Double(reads.operationCount + writes.operationCount)
      let used = Double(processorTime.userNanoseconds + processorTime.systemNanoseconds)
      text += "\nprocessor: user \(percent(processorTime.userNanoseconds)) %, system \(percent(processorTime.systemNanoseconds)) %"
      if operations > 0 { text += ", \(DecimalText.fixed(used / operations / 1e3, decimals: 2)) us per request" }
      text += "\n"
    }
    return text + pauseText() + verificationText() + errorText()
  }

  var directions: [(name: String, direction: Direction)] { [("read", reads), ("write", writes), ("flush", flushes)] }

  private func percent(_ nanoseconds: UInt64) -> String {
    DecimalText.fixed(Double(nanoseconds) * 100 / Double(runtimeNanoseconds), decimals: 1)
  }

  private var planText: String {
    var words = ["\(plan.pattern.rawValue)"]
    if plan.pattern == .randrw { words.append("\(plan.readPercent) % reads") }
    words += ["\(Self.sizeText(plan.blockBytes)) blocks", "\(plan.depth) in flight"]
    if plan.jobCount > 1 { words.append("\(plan.jobCount) jobs") }
    if plan.forceUnitAccess { words.append("FUA") }
    if plan.flushEveryWrites > 0 { words.append("a flush every \(plan.flushEveryWrites) writes") }
    words.append("\(DecimalText.fixed(Double(runtimeNanoseconds) / 1e9, decimals: 2)) s")
    return words.joined(separator: ", ")
  }

  private func table() -> String {
    let heading = ["", "IOPS", "MiB/s", "mean", "p50", "p99", "p99.9", "max"]
    var rows = [heading]
    for (name, direction) in directions where direction.operationCount > 0 {
      let latencies = direction.latencies
      rows.append([
        name, DecimalText.fixed(direction.operationsPerSecond, decimals: 0),
        name == "flush" ? "-" : DecimalText.fixed(direction.bytesPerSecond / 1_048_576, decimals: 1),
        latencyText(latencies.meanNanoseconds), latencyText(Double(latencies.percentile(50))),
        latencyText(Double(latencies.percentile(99))), latencyText(Double(latencies.percentile(99.9))),
        latencyText(Double(latencies.maximumNanoseconds)),
      ])
    }
    let widths = heading.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.reduce("") { text, row in
      let cells = row.indices.map { $0 == 0 ? padded(row[$0], widths[$0], isLeft: true) : padded(row[$0], widths[$0]) }
      return text + cells.joined(separator: "  ") + "\n"
    }
  }

  /// One line per power of two nanoseconds between the smallest and the largest value: share, running share, and a bar.
  static func drawn(_ latencies: LatencyHistogram) -> String {
    let barWidth = 40.0
    let first = exponent(latencies.minimumNanoseconds)
    let last = exponent(latencies.maximumNanoseconds)
    var rows: [(label: String, count: UInt64)] = []
    for power in first...last {
      let lower = power == 0 ? 0 : latencies.countBelowPowerOfTwo(power)
      let upper = power == 63 ? latencies.count : latencies.countBelowPowerOfTwo(power + 1)
      let lowerBound = power == 0 ? 0 : Double(UInt64(1) << UInt64(power))
      rows.append(
        (
          "\(padded(latencyText(lowerBound), 7)) - \(padded(latencyText(Double(sign: .plus, exponent: power + 1, significand: 1)), 7))",
          upper - lower
        ))
    }
    let total = Double(max(1, latencies.count))
    let largest = Double(max(1, rows.map(\.count).max() ?? 1))
    var seen: UInt64 = 0
    return rows.reduce("") { text, row in
      seen += row.count
      let share = padded(DecimalText.fixed(Double(row.count) * 100 / total, decimals: 2), 6)
      let running = padded(DecimalText.fixed(Double(seen) * 100 / total, decimals: 2), 6)
      // Every value is seen: a row that is not empty has a mark.
      let marks = row.count == 0 ? 0 : max(1, Int((Double(row.count) * barWidth / largest).rounded()))
      let bar = marks == 0 ? "" : " " + String(repeating: "#", count: marks)
      return text + "  \(row.label)  \(share) %  \(running) %\(bar)\n"
    }
  }

  private static func exponent(_ value: UInt64) -> Int { value == 0 ? 0 : 63 - value.leadingZeroBitCount }

  private func pauseText() -> String {
    if pauses.count == 0 { return "" }
    let times = pauses.count == 1 ? "once" : "\(pauses.count) times"
    return "\nreconnected \(times), after a pause of \(pauses.count == 1 ? "" : "at most ")"
      + "\(latencyText(Double(pauses.longestNanoseconds)))\n"
  }

  private func verificationText() -> String {
    guard let verification else { return "" }
    var text = "\nverify: \(verification.blockCount) blocks read back, \(verification.checkedInRunCount) reads checked during the run, "
    text += verification.errorCount == 0 ? "no errors\n" : "\(verification.errorCount) ERRORS\n"
    for mismatch in verification.mismatches {
      text += "  offset \(mismatch.offsetBytes): expected \(mismatch.expectedText), found \(mismatch.foundText)\n"
    }
    if verification.errorCount > UInt64(verification.mismatches.count) {
      text += "  and \(verification.errorCount - UInt64(verification.mismatches.count)) more\n"
    }
    if verification.uncertainBlockCount > 0 {
      text += "  \(verification.uncertainBlockCount) blocks were left out: their last write failed, so nobody knows what they hold\n"
    }
    return text
  }

  private func errorText() -> String {
    if errorCount == 0 { return "" }
    var text = "\nerrors: \(errorCount)\n"
    for error in errors { text += "  \(error.count) times: \(error.status.sentence)\n" }
    if let firstError {
      text += "  the first: \(firstError.operation) of \(firstError.byteCount) bytes at offset \(firstError.offsetBytes), "
      text += "\(latencyText(Double(firstError.afterNanoseconds))) after the start\n"
    }
    if gaveUp { text += "  gave up at \(plan.maximumErrorCount) errors\n" }
    return text
  }

  static func sizeText(_ bytes: UInt64) -> String {
    if bytes != 0 && bytes % 1_048_576 == 0 { return "\(bytes / 1_048_576) MiB" }
    if bytes != 0 && bytes % 1024 == 0 { return "\(bytes / 1024) KiB" }
    return "\(bytes) B"
  }
}

/// `850 ns`, `12.3 us`, `4.56 ms`, `75.0 s`: for columns of latencies, always three digits and one unit.
func latencyText(_ nanoseconds: Double) -> String {
  if nanoseconds < 999.5 { return DecimalText.fixed(nanoseconds, decimals: 0) + " ns" }
  if nanoseconds < 999_500 { return DecimalText.threeDigits(nanoseconds / 1e3) + " us" }
  if nanoseconds < 999_500_000 { return DecimalText.threeDigits(nanoseconds / 1e6) + " ms" }
  return DecimalText.threeDigits(nanoseconds / 1e9) + " s"
}

private func padded(_ text: String, _ width: Int, isLeft: Bool = false) -> String {
  let padding = String(repeating: " ", count: max(0, width - text.count))
  return isLeft ? text + padding : padding + text
}

extension BenchSample {
  /// The live line: how far, how fast.
  public func text(elapsedNanoseconds: UInt64, runtimeNanoseconds: UInt64?) -> String {
    let elapsed = "\(elapsedNanoseconds / 1_000_000_000) s"
    var text: String
    if phase >= .verifying {
      text = "verifying: \(blocksReadBack) of \(blocksToReadBack) blocks"
    } else {
      let total = runtimeNanoseconds.map { " of \(($0 + 999_999_999) / 1_000_000_000) s" } ?? ""
      text = "\(elapsed)\(total): \(DecimalText.count(operationsPerSecond)) IOPS, "
      text += "\(DecimalText.fixed(bytesPerSecond / 1_048_576, decimals: 1)) MiB/s, \(latencyText(Double(meanLatencyNanoseconds)))"
      if phase == .draining || phase == .flushing { text += ", finishing" }
    }
    if errorCount > 0 { text += ", \(errorCount) errors" }
    if verifyErrorCount > 0 { text += ", \(verifyErrorCount) VERIFY ERRORS" }
    return text
  }
}
