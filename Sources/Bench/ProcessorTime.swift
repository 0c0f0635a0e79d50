import CLinux

/// Processor time that this process has used, all threads together.
public struct ProcessorTime: Sendable, Equatable {
  public var userNanoseconds: UInt64
  public var systemNanoseconds: UInt64
  public var voluntaryContextSwitches: UInt64
  public var involuntaryContextSwitches: UInt64

  public static func ofProcess() -> ProcessorTime {
    var usage = rusage()
    unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return ProcessorTime(
      userNanoseconds: nanoseconds(usage.ru_utime), systemNanoseconds: nanoseconds(usage.ru_stime),
      voluntaryContextSwitches: UInt64(max(0, usage.ru_nvcsw)), involuntaryContextSwitches: UInt64(max(0, usage.ru_nivcsw)))
  }

  /// What was used since `earlier`.
  public func since(_ earlier: ProcessorTime) -> ProcessorTime {
    ProcessorTime(
      userNanoseconds: userNanoseconds &- earlier.userNanoseconds, systemNanoseconds: systemNanoseconds &- earlier.systemNanoseconds,
      voluntaryContextSwitches: voluntaryContextSwitches &- earlier.voluntaryContextSwitches,
      involuntaryContextSwitches: involuntaryContextSwitches &- earlier.involuntaryContextSwitches)
  }

  private static func nanoseconds(_ time: timeval) -> UInt64 {
    UInt64(max(0, Int64(time.tv_sec))) * 1_000_000_000 + UInt64(max(0, Int64(time.tv_usec))) * 1000
  }
}
