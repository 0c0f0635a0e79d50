/// Opcodes of the admin queue (NVMe Base 2.0, 5, "Opcodes for Admin Commands").
@frozen public enum AdminOpcode: UInt8, Sendable, CaseIterable {
  case deleteIOSubmissionQueue = 0x00
  case createIOSubmissionQueue = 0x01
  case getLogPage = 0x02
  case deleteIOCompletionQueue = 0x04
  case createIOCompletionQueue = 0x05
  case identify = 0x06
  case abort = 0x08
  case setFeatures = 0x09
  case getFeatures = 0x0A
  case asynchronousEventRequest = 0x0C
  case namespaceManagement = 0x0D
  case firmwareCommit = 0x10
  case firmwareImageDownload = 0x11
  case deviceSelfTest = 0x14
  case namespaceAttachment = 0x15
  case keepAlive = 0x18
  case directiveSend = 0x19
  case directiveReceive = 0x1A
  case virtualizationManagement = 0x1C
  case managementSend = 0x1D
  case managementReceive = 0x1E
  case capacityManagement = 0x20
  case lockdown = 0x24
  case doorbellBufferConfiguration = 0x7C
  /// Fabrics commands share one opcode; `FabricsCommandType` tells them apart.
  case fabrics = 0x7F
  case formatNVM = 0x80
  case securitySend = 0x81
  case securityReceive = 0x82
  case sanitize = 0x84
  case getLBAStatus = 0x86
}

/// Opcodes of I/O queues with the NVM command set (NVM Command Set 1.0, 3, "Opcodes for NVM Commands").
@frozen public enum IOOpcode: UInt8, Sendable, CaseIterable {
  case flush = 0x00
  case write = 0x01
  case read = 0x02
  case writeUncorrectable = 0x04
  case compare = 0x05
  case writeZeroes = 0x08
  case datasetManagement = 0x09
  case verify = 0x0C
  case reservationRegister = 0x0D
  case reservationReport = 0x0E
  case reservationAcquire = 0x11
  case reservationRelease = 0x15
  case copy = 0x19
  /// Fabrics commands on an I/O queue: Connect, Disconnect, authentication.
  case fabrics = 0x7F
}

/// The kind of a fabrics command, in byte 4 of the submission entry (NVMe Base 2.0, 6).
@frozen public enum FabricsCommandType: UInt8, Sendable, CaseIterable {
  case propertySet = 0x00
  case connect = 0x01
  case propertyGet = 0x04
  case authenticationSend = 0x05
  case authenticationReceive = 0x06
  case disconnect = 0x08
}
