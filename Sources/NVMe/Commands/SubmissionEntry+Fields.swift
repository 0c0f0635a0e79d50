/// Fields of all commands that are parts of a byte or dword.
extension SubmissionEntry {
  /// FUSE, bits 1:0 of the flags: 0 for a command on its own.
  @inlinable @inline(__always)
  public var fusedOperation: UInt8 { flags & 0x3 }

  /// PSDT, bits 7:6 of the flags: 0 PRPs, 1 an SGL with a contiguous metadata buffer, 2 an SGL with a metadata SGL.
  @inlinable @inline(__always)
  public var dataPointerFormat: UInt8 { flags >> 6 }

  @inlinable @inline(__always)
  public var adminOpcode: AdminOpcode? { AdminOpcode(rawValue: opcode) }

  @inlinable @inline(__always)
  public var ioOpcode: IOOpcode? { IOOpcode(rawValue: opcode) }

  /// Whether bits 1:0 of the opcode say that data goes from host to controller.
  @inlinable @inline(__always)
  public var transfersToController: Bool { opcode & 0x3 == 0x1 }

  /// Whether bits 1:0 of the opcode say that data goes from controller to host.
  @inlinable @inline(__always)
  public var transfersToHost: Bool { opcode & 0x3 == 0x2 }
}

/// Read, Write, Write Zeroes, Compare, Verify (NVM Command Set 1.0, 3.2).
extension SubmissionEntry {
  /// SLBA, dwords 10–11, in logical blocks.
  @inlinable @inline(__always)
  public var startingLBA: UInt64 {
    get { UInt64(dword10) | UInt64(dword11) << 32 }
    set {
      dword10 = UInt32(truncatingIfNeeded: newValue)
      dword11 = UInt32(truncatingIfNeeded: newValue >> 32)
    }
  }

  /// NLB + 1, dword 12 bits 15:0, in logical blocks: 1 to 65,536.
  @inlinable @inline(__always)
  public var blockCount: UInt32 {
    get { (dword12 & 0xFFFF) &+ 1 }
    set {
      precondition(newValue >= 1 && newValue <= 65_536)
      dword12 = dword12 & 0xFFFF_0000 | (newValue &- 1)
    }
  }

  /// FUA, dword 12 bit 30.
  @inlinable @inline(__always)
  public var forceUnitAccess: Bool {
    get { dword12 & (1 << 30) != 0 }
    set { dword12 = newValue ? dword12 | 1 << 30 : dword12 & ~(1 << 30) }
  }

  /// LR, dword 12 bit 31: fewer retries are wanted.
  @inlinable @inline(__always)
  public var limitedRetry: Bool { dword12 & (1 << 31) != 0 }

  /// PRINFO, dword 12 bits 29:26: must be 0 on namespaces without protection information.
  @inlinable @inline(__always)
  public var protectionInformation: UInt8 { UInt8(truncatingIfNeeded: dword12 >> 26 & 0xF) }

  /// DEAC of Write Zeroes, dword 12 bit 25: the blocks may be deallocated.
  @inlinable @inline(__always)
  public var deallocate: Bool {
    get { dword12 & (1 << 25) != 0 }
    set { dword12 = newValue ? dword12 | 1 << 25 : dword12 & ~(1 << 25) }
  }
}

/// Dataset Management (NVM Command Set 1.0, 3.2.3).
extension SubmissionEntry {
  /// NR + 1, dword 10 bits 7:0: 1 to 256 ranges of 16 bytes.
  @inlinable @inline(__always)
  public var datasetRangeCount: Int { Int(dword10 & 0xFF) &+ 1 }

  /// AD, dword 11 bit 2: deallocate the ranges. The other attributes are hints.
  @inlinable @inline(__always)
  public var datasetDeallocates: Bool { dword11 & 0x4 != 0 }
}

/// Identify (NVMe Base 2.0, 5.17).
extension SubmissionEntry {
  /// CNS, dword 10 bits 7:0: which structure.
  @inlinable public var identifyStructure: UInt8 { UInt8(truncatingIfNeeded: dword10) }
  /// CNTID, dword 10 bits 31:16.
  @inlinable public var identifyController: UInt16 { UInt16(truncatingIfNeeded: dword10 >> 16) }
  /// CSI, dword 11 bits 31:24: which command set.
  @inlinable public var identifyCommandSet: UInt8 { UInt8(truncatingIfNeeded: dword11 >> 24) }
}

/// Get Log Page (NVMe Base 2.0, 5.16).
extension SubmissionEntry {
  /// LID, dword 10 bits 7:0.
  @inlinable public var logPageIdentifier: UInt8 { UInt8(truncatingIfNeeded: dword10) }
  /// LSP, dword 10 bits 14:8.
  @inlinable public var logSpecificParameter: UInt8 { UInt8(truncatingIfNeeded: dword10 >> 8 & 0x7F) }
  /// RAE, dword 10 bit 15: reading must not clear the asynchronous event.
  @inlinable public var retainsAsynchronousEvent: Bool { dword10 & 0x8000 != 0 }
  /// LSI, dword 11 bits 31:16.
  @inlinable public var logSpecificIdentifier: UInt16 { UInt16(truncatingIfNeeded: dword11 >> 16) }
  /// The bytes asked for: 4 × (NUMD + 1), NUMDL in dword 10 bits 31:16, NUMDU in dword 11 bits 15:0.
  @inlinable public var logByteCount: UInt64 { (UInt64(dword10 >> 16) | UInt64(dword11 & 0xFFFF) << 16) &* 4 &+ 4 }
  /// LPO, dwords 12–13: offset in bytes (with `logOffsetIsIndex`, an index of data structures).
  @inlinable public var logOffset: UInt64 { UInt64(dword12) | UInt64(dword13) << 32 }
  /// OT, dword 14 bit 23.
  @inlinable public var logOffsetIsIndex: Bool { dword14 & (1 << 23) != 0 }
  /// CSI, dword 14 bits 31:24.
  @inlinable public var logCommandSet: UInt8 { UInt8(truncatingIfNeeded: dword14 >> 24) }
}

/// Get Features, Set Features (NVMe Base 2.0, 5.15 and 5.27), Abort (5.1).
extension SubmissionEntry {
  /// FID, dword 10 bits 7:0.
  @inlinable public var featureIdentifier: UInt8 { UInt8(truncatingIfNeeded: dword10) }
  /// SEL of Get Features, dword 10 bits 10:8: 0 current, 1 default, 2 saved, 3 supported capabilities.
  @inlinable public var featureSelect: UInt8 { UInt8(truncatingIfNeeded: dword10 >> 8 & 0x7) }
  /// SV of Set Features, dword 10 bit 31: keep the value over resets.
  @inlinable public var featureSave: Bool { dword10 & (1 << 31) != 0 }
  /// SQID of Abort, dword 10 bits 15:0.
  @inlinable public var abortedQueueIdentifier: UInt16 { UInt16(truncatingIfNeeded: dword10) }
  /// CID of Abort, dword 10 bits 31:16.
  @inlinable public var abortedCommandIdentifier: UInt16 { UInt16(truncatingIfNeeded: dword10 >> 16) }
}

/// Fabrics commands (NVMe Base 2.0, 6).
extension SubmissionEntry {
  /// FCTYPE, byte 4.
  @inlinable public var fabricsTypeByte: UInt8 { UInt8(truncatingIfNeeded: namespaceIdentifier) }
  @inlinable public var fabricsCommandType: FabricsCommandType? { FabricsCommandType(rawValue: fabricsTypeByte) }

  /// RECFMT of Connect and Disconnect, bytes 40–41: 0 is the only format there is.
  @inlinable public var connectRecordFormat: UInt16 { UInt16(truncatingIfNeeded: dword10) }
  /// QID of Connect, bytes 42–43: 0 is the admin queue.
  @inlinable public var connectQueueIdentifier: UInt16 { UInt16(truncatingIfNeeded: dword10 >> 16) }
  /// SQSIZE of Connect, bytes 44–45, zero-based: the number of entries less one.
  @inlinable public var connectQueueSizeZeroBased: UInt16 { UInt16(truncatingIfNeeded: dword11) }
  /// CATTR of Connect, byte 46.
  @inlinable public var connectAttributes: UInt8 { UInt8(truncatingIfNeeded: dword11 >> 16) }
  /// CATTR bit 2: the host wants no submission queue flow control.
  @inlinable public var connectDisablesFlowControl: Bool { connectAttributes & 0x4 != 0 }
  /// KATO of Connect, bytes 48–51, in milliseconds; 0 means no keep-alive.
  @inlinable public var connectKeepAliveMilliseconds: UInt32 { dword12 }

  /// ATTRIB of Property Get and Set, byte 40, bits 2:0: 0 four bytes, 1 eight bytes.
  @inlinable public var propertySizeCode: UInt8 { UInt8(truncatingIfNeeded: dword10 & 0x7) }
  /// OFST of Property Get and Set, bytes 44–47.
  @inlinable public var propertyOffset: UInt32 { dword11 }
  /// VALUE of Property Set, bytes 48–55.
  @inlinable public var propertyValue: UInt64 { UInt64(dword12) | UInt64(dword13) << 32 }
}
