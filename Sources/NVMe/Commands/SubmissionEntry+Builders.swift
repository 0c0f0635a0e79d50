/// Commands of an I/O queue. Counts are logical blocks.
extension SubmissionEntry {
  @inlinable @inline(__always)
  static func io(
    _ opcode: IOOpcode, _ commandIdentifier: UInt16, _ namespaceIdentifier: UInt32, _ startingLBA: UInt64, _ blockCount: UInt32,
    _ data: SGLDescriptor
  ) -> SubmissionEntry {
    precondition(blockCount >= 1 && blockCount <= 65_536)
    return SubmissionEntry(
      opcode: opcode.rawValue, commandIdentifier: commandIdentifier, namespaceIdentifier: namespaceIdentifier, dataPointer: data,
      dword10: UInt32(truncatingIfNeeded: startingLBA), dword11: UInt32(truncatingIfNeeded: startingLBA >> 32), dword12: blockCount &- 1)
  }

  /// `blockCount` is 1 to 65,536; `data` says how the bytes travel.
  @inlinable @inline(__always)
  public static func read(
    commandIdentifier: UInt16, namespaceIdentifier: UInt32, startingLBA: UInt64, blockCount: UInt32, forceUnitAccess: Bool = false,
    data: SGLDescriptor
  ) -> SubmissionEntry {
    var entry = io(.read, commandIdentifier, namespaceIdentifier, startingLBA, blockCount, data)
    entry.forceUnitAccess = forceUnitAccess
    return entry
  }

  @inlinable @inline(__always)
  public static func write(
    commandIdentifier: UInt16, namespaceIdentifier: UInt32, startingLBA: UInt64, blockCount: UInt32, forceUnitAccess: Bool = false,
    data: SGLDescriptor
  ) -> SubmissionEntry {
    var entry = io(.write, commandIdentifier, namespaceIdentifier, startingLBA, blockCount, data)
    entry.forceUnitAccess = forceUnitAccess
    return entry
  }

  /// With `deallocate` the blocks may be unmapped, if they read as zeros afterwards.
  @inlinable @inline(__always)
  public static func writeZeroes(
    commandIdentifier: UInt16, namespaceIdentifier: UInt32, startingLBA: UInt64, blockCount: UInt32, forceUnitAccess: Bool = false,
    deallocate: Bool = false
  ) -> SubmissionEntry {
    var entry = io(.writeZeroes, commandIdentifier, namespaceIdentifier, startingLBA, blockCount, .none)
    entry.forceUnitAccess = forceUnitAccess
    entry.deallocate = deallocate
    return entry
  }

  @inlinable @inline(__always)
  public static func flush(commandIdentifier: UInt16, namespaceIdentifier: UInt32) -> SubmissionEntry {
    SubmissionEntry(opcode: IOOpcode.flush.rawValue, commandIdentifier: commandIdentifier, namespaceIdentifier: namespaceIdentifier)
  }

  /// Dataset Management with `rangeCount` ranges (1 to 256) in `data`.
  @inlinable
  public static func datasetManagement(
    commandIdentifier: UInt16, namespaceIdentifier: UInt32, rangeCount: Int, deallocate: Bool = true, data: SGLDescriptor
  ) -> SubmissionEntry {
    precondition(rangeCount >= 1 && rangeCount <= 256)
    return SubmissionEntry(
      opcode: IOOpcode.datasetManagement.rawValue, commandIdentifier: commandIdentifier, namespaceIdentifier: namespaceIdentifier,
      dataPointer: data, dword10: UInt32(rangeCount &- 1), dword11: deallocate ? 0x4 : 0)
  }
}

/// Commands of the admin queue.
extension SubmissionEntry {
  public static func identify(
    commandIdentifier: UInt16, structure: UInt8, namespaceIdentifier: UInt32 = 0, controllerIdentifier: UInt16 = 0, commandSet: UInt8 = 0,
    data: SGLDescriptor = .transportDataBlock(length: 4096)
  ) -> SubmissionEntry {
    SubmissionEntry(
      opcode: AdminOpcode.identify.rawValue, commandIdentifier: commandIdentifier, namespaceIdentifier: namespaceIdentifier,
      dataPointer: data, dword10: UInt32(structure) | UInt32(controllerIdentifier) << 16, dword11: UInt32(commandSet) << 24)
  }

  /// `byteCount` and `offset` are bytes in multiples of 4.
  public static func getLogPage(
    commandIdentifier: UInt16, identifier: UInt8, byteCount: UInt32, offset: UInt64 = 0, retainAsynchronousEvent: Bool = false,
    specificParameter: UInt8 = 0, namespaceIdentifier: UInt32 = 0
  ) -> SubmissionEntry {
    precondition(byteCount >= 4 && byteCount % 4 == 0 && offset % 4 == 0 && specificParameter < 0x80)
    let dwords = byteCount / 4 - 1
    return SubmissionEntry(
      opcode: AdminOpcode.getLogPage.rawValue, commandIdentifier: commandIdentifier, namespaceIdentifier: namespaceIdentifier,
      dataPointer: .transportDataBlock(length: byteCount),
      dword10: UInt32(identifier) | UInt32(specificParameter) << 8 | (retainAsynchronousEvent ? 0x8000 : 0) | dwords << 16,
      dword11: dwords >> 16, dword12: UInt32(truncatingIfNeeded: offset), dword13: UInt32(truncatingIfNeeded: offset >> 32))
  }

  public static func getFeatures(
    commandIdentifier: UInt16, identifier: UInt8, select: UInt8 = 0, dword11: UInt32 = 0, namespaceIdentifier: UInt32 = 0,
    data: SGLDescriptor = .none
  ) -> SubmissionEntry {
    precondition(select < 8)
    return SubmissionEntry(
      opcode: AdminOpcode.getFeatures.rawValue, commandIdentifier: commandIdentifier, namespaceIdentifier: namespaceIdentifier,
      dataPointer: data, dword10: UInt32(identifier) | UInt32(select) << 8, dword11: dword11)
  }

  public static func setFeatures(
    commandIdentifier: UInt16, identifier: UInt8, dword11: UInt32, save: Bool = false, namespaceIdentifier: UInt32 = 0,
    data: SGLDescriptor = .none
  ) -> SubmissionEntry {
    SubmissionEntry(
      opcode: AdminOpcode.setFeatures.rawValue, commandIdentifier: commandIdentifier, namespaceIdentifier: namespaceIdentifier,
      dataPointer: data, dword10: UInt32(identifier) | (save ? 1 << 31 : 0), dword11: dword11)
  }

  public static func keepAlive(commandIdentifier: UInt16) -> SubmissionEntry {
    SubmissionEntry(opcode: AdminOpcode.keepAlive.rawValue, commandIdentifier: commandIdentifier)
  }

  public static func asynchronousEventRequest(commandIdentifier: UInt16) -> SubmissionEntry {
    SubmissionEntry(opcode: AdminOpcode.asynchronousEventRequest.rawValue, commandIdentifier: commandIdentifier)
  }

  /// Asks to abort the command `abortedCommandIdentifier` of the queue `queueIdentifier`.
  public static func abort(commandIdentifier: UInt16, queueIdentifier: UInt16, abortedCommandIdentifier: UInt16) -> SubmissionEntry {
    SubmissionEntry(
      opcode: AdminOpcode.abort.rawValue, commandIdentifier: commandIdentifier,
      dword10: UInt32(queueIdentifier) | UInt32(abortedCommandIdentifier) << 16)
  }
}

/// Fabrics commands.
extension SubmissionEntry {
  /// Connect with its 1024 bytes of `ConnectData` in the capsule. `queueSizeZeroBased` is the number of entries less one.
  public static func connect(
    commandIdentifier: UInt16, queueIdentifier: UInt16, queueSizeZeroBased: UInt16, keepAliveMilliseconds: UInt32,
    disableFlowControl: Bool = false
  ) -> SubmissionEntry {
    SubmissionEntry(
      opcode: AdminOpcode.fabrics.rawValue, commandIdentifier: commandIdentifier,
      namespaceIdentifier: UInt32(FabricsCommandType.connect.rawValue), dataPointer: .inCapsule(length: 1024),
      dword10: UInt32(queueIdentifier) << 16, dword11: UInt32(queueSizeZeroBased) | (disableFlowControl ? 0x4 << 16 : 0),
      dword12: keepAliveMilliseconds)
  }

  public static func propertyGet(commandIdentifier: UInt16, offset: UInt32, isEightBytes: Bool) -> SubmissionEntry {
    SubmissionEntry(
      opcode: AdminOpcode.fabrics.rawValue, commandIdentifier: commandIdentifier,
      namespaceIdentifier: UInt32(FabricsCommandType.propertyGet.rawValue), dword10: isEightBytes ? 1 : 0, dword11: offset)
  }

  public static func propertySet(commandIdentifier: UInt16, offset: UInt32, value: UInt64, isEightBytes: Bool = false) -> SubmissionEntry {
    SubmissionEntry(
      opcode: AdminOpcode.fabrics.rawValue, commandIdentifier: commandIdentifier,
      namespaceIdentifier: UInt32(FabricsCommandType.propertySet.rawValue), dword10: isEightBytes ? 1 : 0, dword11: offset,
      dword12: UInt32(truncatingIfNeeded: value), dword13: UInt32(truncatingIfNeeded: value >> 32))
  }

  /// Ends an I/O queue; only to be sent when the controller says so (OFCS).
  public static func disconnect(commandIdentifier: UInt16) -> SubmissionEntry {
    SubmissionEntry(
      opcode: IOOpcode.fabrics.rawValue, commandIdentifier: commandIdentifier,
      namespaceIdentifier: UInt32(FabricsCommandType.disconnect.rawValue))
  }
}
