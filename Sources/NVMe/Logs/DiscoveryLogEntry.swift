/// One entry of the Discovery log, 1024 bytes (NVMe Base 2.0, 5.16.1.23, "Discovery Log Page Entry Data Structure").
public struct DiscoveryLogEntry: Equatable, Sendable {
  public static let byteCount = 1024

  /// TRTYPE, byte 0: 3 for TCP.
  public var transportType: UInt8 = 0
  /// ADRFAM, byte 1: 1 for IPv4, 2 for IPv6.
  public var addressFamily: UInt8 = 0
  /// SUBTYPE, byte 2: 1 another discovery service, 2 an NVM subsystem, 3 this discovery service.
  public var subsystemType: UInt8 = 0
  /// TREQ, byte 3: bits 1:0 secure channel (0 not specified, 1 required, 2 not required), bit 2 flow control may be disabled.
  public var transportRequirements: UInt8 = 0
  /// PORTID, bytes 4–5.
  public var portIdentifier: UInt16 = 0
  /// CNTLID, bytes 6–7: FFFFh for dynamic controllers.
  public var controllerIdentifier: UInt16 = 0
  /// ASQSZ, bytes 8–9: the most entries of an admin submission queue; at least 32.
  public var adminQueueSize: UInt16 = 0
  /// EFLAGS, bytes 10–11: bit 0 duplicate information, bit 1 persistent connections, bit 2 no CDC connectivity.
  public var flags: UInt16 = 0
  /// TRSVCID, bytes 32–63: for TCP the decimal port.
  public var serviceIdentifier: String = ""
  /// SUBNQN, bytes 256–511: nil where the peer sent no valid name.
  public var subsystemName: QualifiedName?
  /// TRADDR, bytes 512–767: for TCP the IP address.
  public var transportAddress: String = ""
  /// TSAS byte 0, SECTYPE, byte 768: 0 none, 1 TLS 1.2, 2 TLS 1.3.
  public var securityType: UInt8 = 0

  /// All fields zero or empty.
  public init() {}

  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    transportType = bytes.littleEndian(at: offset + 0)
    addressFamily = bytes.littleEndian(at: offset + 1)
    subsystemType = bytes.littleEndian(at: offset + 2)
    transportRequirements = bytes.littleEndian(at: offset + 3)
    portIdentifier = bytes.littleEndian(at: offset + 4)
    controllerIdentifier = bytes.littleEndian(at: offset + 6)
    adminQueueSize = bytes.littleEndian(at: offset + 8)
    flags = bytes.littleEndian(at: offset + 10)
    serviceIdentifier = bytes.fixedText(at: offset + 32, count: 32)
    subsystemName = try? QualifiedName(decoding: bytes, at: offset + 256)
    transportAddress = bytes.fixedText(at: offset + 512, count: 256)
    securityType = bytes.littleEndian(at: offset + 768)
  }

  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.zero(Self.byteCount, at: offset)
    bytes.storeLittleEndian(transportType, at: offset + 0)
    bytes.storeLittleEndian(addressFamily, at: offset + 1)
    bytes.storeLittleEndian(subsystemType, at: offset + 2)
    bytes.storeLittleEndian(transportRequirements, at: offset + 3)
    bytes.storeLittleEndian(portIdentifier, at: offset + 4)
    bytes.storeLittleEndian(controllerIdentifier, at: offset + 6)
    bytes.storeLittleEndian(adminQueueSize, at: offset + 8)
    bytes.storeLittleEndian(flags, at: offset + 10)
    bytes.storeFixedText(serviceIdentifier, at: offset + 32, count: 32)
    subsystemName?.encode(into: &bytes, at: offset + 256)
    bytes.storeFixedText(transportAddress, at: offset + 512, count: 256)
    bytes.storeLittleEndian(securityType, at: offset + 768)
  }
}
