/// CNS: which structure Identify returns, always 4096 bytes (NVMe Base 2.0, 5.17.1).
public enum IdentifyStructure: UInt8, Sendable, CaseIterable {
  case namespace = 0x00
  case controller = 0x01
  case activeNamespaces = 0x02
  case namespaceDescriptors = 0x03
  case namespaceForCommandSet = 0x05
  case controllerForCommandSet = 0x06
  case activeNamespacesForCommandSet = 0x07
  case namespaceIndependent = 0x08
  case allocatedNamespaces = 0x10
  case allocatedNamespace = 0x11
  case namespaceControllers = 0x12
  case subsystemControllers = 0x13
  case commandSetCombinations = 0x1C

  /// Bytes of every structure.
  public static let byteCount = 4096
}

/// CSI: I/O command sets (NVMe Base 2.0, "I/O Command Set Identifiers").
public enum CommandSet: UInt8, Sendable, CaseIterable {
  case nvm = 0x00
  case keyValue = 0x01
  case zoned = 0x02
}

/// NSIDs with a meaning of their own.
public enum NamespaceIdentifier {
  /// All namespaces attached to the controller.
  public static let broadcast: UInt32 = 0xFFFF_FFFF
  /// The highest identifier a namespace can have.
  public static let maximum: UInt32 = 0xFFFF_FFFE
}
