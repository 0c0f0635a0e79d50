/// Identify Controller, CNS 01h, 4096 bytes (NVMe Base 2.0, 5.17.2.1), with the fields of fabrics I/O and discovery controllers.
///
/// Zero-based counts and shifts are kept as they are on the wire, and say so in their names. Other fields are zero.
public struct IdentifyController: Equatable, Sendable {
  public static let byteCount = 4096

  /// VID, bytes 0–1: the PCI vendor; 0 for none.
  public var vendorIdentifier: UInt16 = 0
  /// SSVID, bytes 2–3.
  public var subsystemVendorIdentifier: UInt16 = 0
  /// SN, bytes 4–23: at most 20 printable ASCII characters.
  public var serialNumber: String = ""
  /// MN, bytes 24–63: at most 40 printable ASCII characters.
  public var modelNumber: String = ""
  /// FR, bytes 64–71: at most 8 printable ASCII characters.
  public var firmwareRevision: String = ""
  /// RAB, byte 72: a power of two, in commands.
  public var recommendedArbitrationBurst: UInt8 = 0
  /// IEEE, bytes 73–75: the organisation's identifier, 24 bits.
  public var ieeeIdentifier: UInt32 = 0
  /// CMIC, byte 76.
  public var multipathCapabilities = MultipathCapabilities(rawValue: 0)
  /// MDTS, byte 77: at most 2^value pages of 2^(12 + CAP.MPSMIN) bytes a command; 0 for no limit.
  public var maximumDataTransferShift: UInt8 = 0
  /// CNTLID, bytes 78–79.
  public var controllerIdentifier: UInt16 = 0
  /// VER, bytes 80–83.
  public var version = SpecificationVersion(rawValue: 0)
  /// RTD3R, bytes 84–87.
  public var resumeLatencyMicroseconds: UInt32 = 0
  /// RTD3E, bytes 88–91.
  public var entryLatencyMicroseconds: UInt32 = 0
  /// OAES, bytes 92–95: the optional events the controller can send.
  public var asynchronousEvents = AsynchronousEventConfiguration(rawValue: 0)
  /// CTRATT, bytes 96–99.
  public var attributes = ControllerAttributes(rawValue: 0)
  /// CNTRLTYPE, byte 111: 1 I/O, 2 discovery, 3 administrative.
  public var controllerType: UInt8 = 0
  /// FGUID, bytes 112–127.
  public var fruIdentifier: Identifier128 = .zero
  /// OACS, bytes 256–257.
  public var optionalAdminCommands: UInt16 = 0
  /// ACL, byte 258: concurrent Abort commands, less one.
  public var abortLimitZeroBased: UInt8 = 0
  /// AERL, byte 259: outstanding Asynchronous Event Requests, less one.
  public var asynchronousEventLimitZeroBased: UInt8 = 0
  /// FRMW, byte 260: bit 0 slot 1 is read-only, bits 3:1 slots, bit 4 activation without reset.
  public var firmwareUpdates: UInt8 = 0
  /// LPA, byte 261: bit 0 health per namespace, bit 1 command effects, bit 2 extended offsets and lengths.
  public var logPageAttributes: UInt8 = 0
  /// ELPE, byte 262: entries kept in the error log, less one.
  public var errorLogEntriesZeroBased: UInt8 = 0
  /// NPSS, byte 263: power states, less one.
  public var powerStatesZeroBased: UInt8 = 0
  /// WCTEMP, bytes 266–267.
  public var warningTemperatureKelvin: UInt16 = 0
  /// CCTEMP, bytes 268–269.
  public var criticalTemperatureKelvin: UInt16 = 0
  /// MTFA, bytes 270–271.
  public var firmwareActivationTenthsOfSecond: UInt16 = 0
  /// TNVMCAP, bytes 280–295.
  public var totalCapacityBytes: UInt128 = 0
  /// UNVMCAP, bytes 296–311.
  public var unallocatedCapacityBytes: UInt128 = 0
  /// KAS, bytes 320–321: the granularity of the keep-alive timer in 100 ms; 0 for no keep-alive.
  public var keepAliveGranularity: UInt16 = 0
  /// SANICAP, bytes 328–331.
  public var sanitizeCapabilities: UInt32 = 0
  /// ANATT, byte 342: the longest time in ANA Transition or Change.
  public var anaTransitionSeconds: UInt8 = 0
  /// ANACAP, byte 343.
  public var anaCapabilities = ANACapabilities(rawValue: 0)
  /// ANAGRPMAX, bytes 344–347: the highest ANA group identifier.
  public var anaGroupMaximum: UInt32 = 0
  /// NANAGRPID, bytes 348–351: the number of ANA groups.
  public var anaGroupCount: UInt32 = 0
  /// SQES, byte 512: bits 3:0 required and 7:4 maximum size as powers of two.
  public var submissionEntrySizes: UInt8 = 0
  /// CQES, byte 513: bits 3:0 required and 7:4 maximum size as powers of two.
  public var completionEntrySizes: UInt8 = 0
  /// MAXCMD, bytes 514–515: per queue.
  public var maximumOutstandingCommands: UInt16 = 0
  /// NN, bytes 516–519: the highest namespace identifier.
  public var namespaceCount: UInt32 = 0
  /// ONCS, bytes 520–521.
  public var optionalCommands = OptionalCommands(rawValue: 0)
  /// FUSES, bytes 522–523.
  public var fusedOperations: UInt16 = 0
  /// FNA, byte 524.
  public var formatAttributes: UInt8 = 0
  /// VWC, byte 525: bit 0 present, bits 2:1 Flush of all namespaces (2 not supported, 3 supported).
  public var volatileWriteCache: UInt8 = 0
  /// AWUN, bytes 526–527: blocks, less one.
  public var atomicWriteUnitZeroBased: UInt16 = 0
  /// AWUPF, bytes 528–529: blocks, less one.
  public var atomicWriteUnitPowerFailZeroBased: UInt16 = 0
  /// ICSVSCC, byte 530.
  public var vendorSpecificCommandFormat: UInt8 = 0
  /// NWPC, byte 531.
  public var namespaceWriteProtection: UInt8 = 0
  /// ACWU, bytes 532–533: blocks, less one.
  public var atomicCompareAndWriteUnitZeroBased: UInt16 = 0
  /// SGLS, bytes 536–539.
  public var sglSupport = SGLSupport(rawValue: 0)
  /// MNAN, bytes 540–543.
  public var maximumAllowedNamespaces: UInt32 = 0
  /// SUBNQN, bytes 768–1023: nil where the peer sent no valid name.
  public var subsystemName: QualifiedName?
  /// IOCCSZ, bytes 1792–1795: the most bytes of an I/O command capsule in units of 16; at least 4.
  public var ioCommandCapsuleSize16Bytes: UInt32 = 0
  /// IORCSZ, bytes 1796–1799: the most bytes of an I/O response capsule in units of 16; at least 1.
  public var ioResponseCapsuleSize16Bytes: UInt32 = 0
  /// ICDOFF, bytes 1800–1801: 0 for NVMe/TCP.
  public var inCapsuleDataOffset16Bytes: UInt16 = 0
  /// FCATT, byte 1802: bit 0 clear: dynamic controllers.
  public var fabricsControllerAttributes: UInt8 = 0
  /// MSDBD, byte 1803: SGL descriptors a command may have; 0 for no limit.
  public var maximumSGLDataBlocks: UInt8 = 0
  /// OFCS, bytes 1804–1805: bit 0: Disconnect.
  public var optionalFabricsCommands: UInt16 = 0
  /// PSD0, bytes 2048–2079.
  public var powerState0 = PowerState()

  /// All fields zero or empty.
  public init() {}

  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    vendorIdentifier = bytes.littleEndian(at: offset + 0)
    subsystemVendorIdentifier = bytes.littleEndian(at: offset + 2)
    serialNumber = bytes.fixedText(at: offset + 4, count: 20)
    modelNumber = bytes.fixedText(at: offset + 24, count: 40)
    firmwareRevision = bytes.fixedText(at: offset + 64, count: 8)
    recommendedArbitrationBurst = bytes.littleEndian(at: offset + 72)
    ieeeIdentifier =
      UInt32(bytes.littleEndian(at: offset + 73, as: UInt16.self)) | UInt32(bytes.littleEndian(at: offset + 75, as: UInt8.self)) << 16
    multipathCapabilities = MultipathCapabilities(rawValue: bytes.littleEndian(at: offset + 76))
    maximumDataTransferShift = bytes.littleEndian(at: offset + 77)
    controllerIdentifier = bytes.littleEndian(at: offset + 78)
    version = SpecificationVersion(rawValue: bytes.littleEndian(at: offset + 80))
    resumeLatencyMicroseconds = bytes.littleEndian(at: offset + 84)
    entryLatencyMicroseconds = bytes.littleEndian(at: offset + 88)
    asynchronousEvents = AsynchronousEventConfiguration(rawValue: bytes.littleEndian(at: offset + 92))
    attributes = ControllerAttributes(rawValue: bytes.littleEndian(at: offset + 96))
    controllerType = bytes.littleEndian(at: offset + 111)
    fruIdentifier = try Identifier128(decoding: bytes, at: offset + 112)
    optionalAdminCommands = bytes.littleEndian(at: offset + 256)
    abortLimitZeroBased = bytes.littleEndian(at: offset + 258)
    asynchronousEventLimitZeroBased = bytes.littleEndian(at: offset + 259)
    firmwareUpdates = bytes.littleEndian(at: offset + 260)
    logPageAttributes = bytes.littleEndian(at: offset + 261)
    errorLogEntriesZeroBased = bytes.littleEndian(at: offset + 262)
    powerStatesZeroBased = bytes.littleEndian(at: offset + 263)
    warningTemperatureKelvin = bytes.littleEndian(at: offset + 266)
    criticalTemperatureKelvin = bytes.littleEndian(at: offset + 268)
    firmwareActivationTenthsOfSecond = bytes.littleEndian(at: offset + 270)
    totalCapacityBytes = bytes.littleEndian(at: offset + 280)
    unallocatedCapacityBytes = bytes.littleEndian(at: offset + 296)
    keepAliveGranularity = bytes.littleEndian(at: offset + 320)
    sanitizeCapabilities = bytes.littleEndian(at: offset + 328)
    anaTransitionSeconds = bytes.littleEndian(at: offset + 342)
    anaCapabilities = ANACapabilities(rawValue: bytes.littleEndian(at: offset + 343))
    anaGroupMaximum = bytes.littleEndian(at: offset + 344)
    anaGroupCount = bytes.littleEndian(at: offset + 348)
    submissionEntrySizes = bytes.littleEndian(at: offset + 512)
    completionEntrySizes = bytes.littleEndian(at: offset + 513)
    maximumOutstandingCommands = bytes.littleEndian(at: offset + 514)
    namespaceCount = bytes.littleEndian(at: offset + 516)
    optionalCommands = OptionalCommands(rawValue: bytes.littleEndian(at: offset + 520))
    fusedOperations = bytes.littleEndian(at: offset + 522)
    formatAttributes = bytes.littleEndian(at: offset + 524)
    volatileWriteCache = bytes.littleEndian(at: offset + 525)
    atomicWriteUnitZeroBased = bytes.littleEndian(at: offset + 526)
    atomicWriteUnitPowerFailZeroBased = bytes.littleEndian(at: offset + 528)
    vendorSpecificCommandFormat = bytes.littleEndian(at: offset + 530)
    namespaceWriteProtection = bytes.littleEndian(at: offset + 531)
    atomicCompareAndWriteUnitZeroBased = bytes.littleEndian(at: offset + 532)
    sglSupport = SGLSupport(rawValue: bytes.littleEndian(at: offset + 536))
    maximumAllowedNamespaces = bytes.littleEndian(at: offset + 540)
    subsystemName = try? QualifiedName(decoding: bytes, at: offset + 768)
    ioCommandCapsuleSize16Bytes = bytes.littleEndian(at: offset + 1792)
    ioResponseCapsuleSize16Bytes = bytes.littleEndian(at: offset + 1796)
    inCapsuleDataOffset16Bytes = bytes.littleEndian(at: offset + 1800)
    fabricsControllerAttributes = bytes.littleEndian(at: offset + 1802)
    maximumSGLDataBlocks = bytes.littleEndian(at: offset + 1803)
    optionalFabricsCommands = bytes.littleEndian(at: offset + 1804)
    powerState0 = try PowerState(decoding: bytes, at: offset + 2048)
  }

  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.zero(Self.byteCount, at: offset)
    bytes.storeLittleEndian(vendorIdentifier, at: offset + 0)
    bytes.storeLittleEndian(subsystemVendorIdentifier, at: offset + 2)
    bytes.storeFixedText(serialNumber, at: offset + 4, count: 20)
    bytes.storeFixedText(modelNumber, at: offset + 24, count: 40)
    bytes.storeFixedText(firmwareRevision, at: offset + 64, count: 8)
    bytes.storeLittleEndian(recommendedArbitrationBurst, at: offset + 72)
    bytes.storeLittleEndian(UInt16(truncatingIfNeeded: ieeeIdentifier), at: offset + 73)
    bytes.storeLittleEndian(UInt8(truncatingIfNeeded: ieeeIdentifier >> 16), at: offset + 75)
    bytes.storeLittleEndian(multipathCapabilities.rawValue, at: offset + 76)
    bytes.storeLittleEndian(maximumDataTransferShift, at: offset + 77)
    bytes.storeLittleEndian(controllerIdentifier, at: offset + 78)
    bytes.storeLittleEndian(version.rawValue, at: offset + 80)
    bytes.storeLittleEndian(resumeLatencyMicroseconds, at: offset + 84)
    bytes.storeLittleEndian(entryLatencyMicroseconds, at: offset + 88)
    bytes.storeLittleEndian(asynchronousEvents.rawValue, at: offset + 92)
    bytes.storeLittleEndian(attributes.rawValue, at: offset + 96)
    bytes.storeLittleEndian(controllerType, at: offset + 111)
    fruIdentifier.encode(into: &bytes, at: offset + 112)
    bytes.storeLittleEndian(optionalAdminCommands, at: offset + 256)
    bytes.storeLittleEndian(abortLimitZeroBased, at: offset + 258)
    bytes.storeLittleEndian(asynchronousEventLimitZeroBased, at: offset + 259)
    bytes.storeLittleEndian(firmwareUpdates, at: offset + 260)
    bytes.storeLittleEndian(logPageAttributes, at: offset + 261)
    bytes.storeLittleEndian(errorLogEntriesZeroBased, at: offset + 262)
    bytes.storeLittleEndian(powerStatesZeroBased, at: offset + 263)
    bytes.storeLittleEndian(warningTemperatureKelvin, at: offset + 266)
    bytes.storeLittleEndian(criticalTemperatureKelvin, at: offset + 268)
    bytes.storeLittleEndian(firmwareActivationTenthsOfSecond, at: offset + 270)
    bytes.storeLittleEndian(totalCapacityBytes, at: offset + 280)
    bytes.storeLittleEndian(unallocatedCapacityBytes, at: offset + 296)
    bytes.storeLittleEndian(keepAliveGranularity, at: offset + 320)
    bytes.storeLittleEndian(sanitizeCapabilities, at: offset + 328)
    bytes.storeLittleEndian(anaTransitionSeconds, at: offset + 342)
    bytes.storeLittleEndian(anaCapabilities.rawValue, at: offset + 343)
    bytes.storeLittleEndian(anaGroupMaximum, at: offset + 344)
    bytes.storeLittleEndian(anaGroupCount, at: offset + 348)
    bytes.storeLittleEndian(submissionEntrySizes, at: offset + 512)
    bytes.storeLittleEndian(completionEntrySizes, at: offset + 513)
    bytes.storeLittleEndian(maximumOutstandingCommands, at: offset + 514)
    bytes.storeLittleEndian(namespaceCount, at: offset + 516)
    bytes.storeLittleEndian(optionalCommands.rawValue, at: offset + 520)
    bytes.storeLittleEndian(fusedOperations, at: offset + 522)
    bytes.storeLittleEndian(formatAttributes, at: offset + 524)
    bytes.storeLittleEndian(volatileWriteCache, at: offset + 525)
    bytes.storeLittleEndian(atomicWriteUnitZeroBased, at: offset + 526)
    bytes.storeLittleEndian(atomicWriteUnitPowerFailZeroBased, at: offset + 528)
    bytes.storeLittleEndian(vendorSpecificCommandFormat, at: offset + 530)
    bytes.storeLittleEndian(namespaceWriteProtection, at: offset + 531)
    bytes.storeLittleEndian(atomicCompareAndWriteUnitZeroBased, at: offset + 532)
    bytes.storeLittleEndian(sglSupport.rawValue, at: offset + 536)
    bytes.storeLittleEndian(maximumAllowedNamespaces, at: offset + 540)
    subsystemName?.encode(into: &bytes, at: offset + 768)
    bytes.storeLittleEndian(ioCommandCapsuleSize16Bytes, at: offset + 1792)
    bytes.storeLittleEndian(ioResponseCapsuleSize16Bytes, at: offset + 1796)
    bytes.storeLittleEndian(inCapsuleDataOffset16Bytes, at: offset + 1800)
    bytes.storeLittleEndian(fabricsControllerAttributes, at: offset + 1802)
    bytes.storeLittleEndian(maximumSGLDataBlocks, at: offset + 1803)
    bytes.storeLittleEndian(optionalFabricsCommands, at: offset + 1804)
    powerState0.encode(into: &bytes, at: offset + 2048)
  }
}
