/// The SMART / Health Information log, LID 02h, 512 bytes (NVMe Base 2.0, 5.16.1.3).
public struct HealthLog: Equatable, Sendable {
  public static let byteCount = 512

  /// Critical Warning, byte 0: bit 0 spare, 1 temperature, 2 reliability, 3 read-only, 4 volatile backup.
  public var criticalWarning: UInt8 = 0
  /// Composite Temperature, bytes 1–2.
  public var temperatureKelvin: UInt16 = 0
  /// Available Spare, byte 3.
  public var availableSparePercent: UInt8 = 0
  /// Available Spare Threshold, byte 4.
  public var availableSpareThresholdPercent: UInt8 = 0
  /// Percentage Used, byte 5.
  public var percentageUsed: UInt8 = 0
  /// Endurance Group Critical Warning Summary, byte 6.
  public var enduranceGroupWarnings: UInt8 = 0
  /// Data Units Read, bytes 32–47: thousands of 512 bytes, rounded up.
  public var dataUnitsRead: UInt128 = 0
  /// Data Units Written, bytes 48–63: thousands of 512 bytes, rounded up.
  public var dataUnitsWritten: UInt128 = 0
  /// Host Read Commands, bytes 64–79.
  public var hostReadCommands: UInt128 = 0
  /// Host Write Commands, bytes 80–95.
  public var hostWriteCommands: UInt128 = 0
  /// Controller Busy Time, bytes 96–111.
  public var controllerBusyMinutes: UInt128 = 0
  /// Power Cycles, bytes 112–127.
  public var powerCycles: UInt128 = 0
  /// Power On Hours, bytes 128–143.
  public var powerOnHours: UInt128 = 0
  /// Unsafe Shutdowns, bytes 144–159.
  public var unsafeShutdowns: UInt128 = 0
  /// Media and Data Integrity Errors, bytes 160–175.
  public var mediaErrors: UInt128 = 0
  /// Number of Error Information Log Entries, bytes 176–191.
  public var errorLogEntries: UInt128 = 0
  /// Warning Composite Temperature Time, bytes 192–195.
  public var warningTemperatureMinutes: UInt32 = 0
  /// Critical Composite Temperature Time, bytes 196–199.
  public var criticalTemperatureMinutes: UInt32 = 0

  /// All fields zero or empty.
  public init() {}

  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    criticalWarning = bytes.littleEndian(at: offset + 0)
    temperatureKelvin = bytes.littleEndian(at: offset + 1)
    availableSparePercent = bytes.littleEndian(at: offset + 3)
    availableSpareThresholdPercent = bytes.littleEndian(at: offset + 4)
    percentageUsed = bytes.littleEndian(at: offset + 5)
    enduranceGroupWarnings = bytes.littleEndian(at: offset + 6)
    dataUnitsRead = bytes.littleEndian(at: offset + 32)
    dataUnitsWritten = bytes.littleEndian(at: offset + 48)
    hostReadCommands = bytes.littleEndian(at: offset + 64)
    hostWriteCommands = bytes.littleEndian(at: offset + 80)
    controllerBusyMinutes = bytes.littleEndian(at: offset + 96)
    powerCycles = bytes.littleEndian(at: offset + 112)
    powerOnHours = bytes.littleEndian(at: offset + 128)
    unsafeShutdowns = bytes.littleEndian(at: offset + 144)
    mediaErrors = bytes.littleEndian(at: offset + 160)
    errorLogEntries = bytes.littleEndian(at: offset + 176)
    warningTemperatureMinutes = bytes.littleEndian(at: offset + 192)
    criticalTemperatureMinutes = bytes.littleEndian(at: offset + 196)
  }

  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.zero(Self.byteCount, at: offset)
    bytes.storeLittleEndian(criticalWarning, at: offset + 0)
    bytes.storeLittleEndian(temperatureKelvin, at: offset + 1)
    bytes.storeLittleEndian(availableSparePercent, at: offset + 3)
    bytes.storeLittleEndian(availableSpareThresholdPercent, at: offset + 4)
    bytes.storeLittleEndian(percentageUsed, at: offset + 5)
    bytes.storeLittleEndian(enduranceGroupWarnings, at: offset + 6)
    bytes.storeLittleEndian(dataUnitsRead, at: offset + 32)
    bytes.storeLittleEndian(dataUnitsWritten, at: offset + 48)
    bytes.storeLittleEndian(hostReadCommands, at: offset + 64)
    bytes.storeLittleEndian(hostWriteCommands, at: offset + 80)
    bytes.storeLittleEndian(controllerBusyMinutes, at: offset + 96)
    bytes.storeLittleEndian(powerCycles, at: offset + 112)
    bytes.storeLittleEndian(powerOnHours, at: offset + 128)
    bytes.storeLittleEndian(unsafeShutdowns, at: offset + 144)
    bytes.storeLittleEndian(mediaErrors, at: offset + 160)
    bytes.storeLittleEndian(errorLogEntries, at: offset + 176)
    bytes.storeLittleEndian(warningTemperatureMinutes, at: offset + 192)
    bytes.storeLittleEndian(criticalTemperatureMinutes, at: offset + 196)
  }
}
