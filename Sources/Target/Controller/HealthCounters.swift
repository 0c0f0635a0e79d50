import NVMe

/// What a controller has done, for the SMART / Health log (NVMe Base 2.0, 5.16.1.3). Counted since the controller began.
struct HealthCounters {
  var readBytes: UInt64 = 0
  var writtenBytes: UInt64 = 0
  var readCommands: UInt64 = 0
  var writeCommands: UInt64 = 0
  var busyNanoseconds: UInt64 = 0
  var mediaErrors: UInt64 = 0

  @inline(__always)
  mutating func countRead(bytes: Int) {
    readBytes &+= UInt64(bytes)
    readCommands &+= 1
  }

  @inline(__always)
  mutating func countWrite(bytes: Int) {
    writtenBytes &+= UInt64(bytes)
    writeCommands &+= 1
  }

  /// `age` is the time since the controller began, in nanoseconds.
  func log(age: UInt64, errorCount: UInt64) -> HealthLog {
    var log = HealthLog()
    log.availableSparePercent = 100
    log.availableSpareThresholdPercent = 10
    log.dataUnitsRead = Self.dataUnits(readBytes)
    log.dataUnitsWritten = Self.dataUnits(writtenBytes)
    log.hostReadCommands = UInt128(readCommands)
    log.hostWriteCommands = UInt128(writeCommands)
    log.controllerBusyMinutes = UInt128(busyNanoseconds / 60_000_000_000)
    log.powerCycles = 1
    log.powerOnHours = UInt128(age / 3_600_000_000_000)
    log.mediaErrors = UInt128(mediaErrors)
    log.errorLogEntries = UInt128(errorCount)
    return log
  }

  /// Thousands of 512 bytes, rounded up.
  private static func dataUnits(_ bytes: UInt64) -> UInt128 { (UInt128(bytes) + 511_999) / 512_000 }
}
