/// What a command does (NVMe Base 2.0, 5.16.1.6, "Commands Supported and Effects Data Structure").
public struct CommandEffects: OptionSet, Hashable, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// CSUPP.
  public static let supported = CommandEffects(rawValue: 1 << 0)
  /// LBCC: the content of logical blocks changes.
  public static let changesBlocks = CommandEffects(rawValue: 1 << 1)
  /// NCC: namespace capability change.
  public static let changesNamespace = CommandEffects(rawValue: 1 << 2)
  /// NIC: namespace inventory change.
  public static let changesInventory = CommandEffects(rawValue: 1 << 3)
  /// CCC: controller capability change.
  public static let changesController = CommandEffects(rawValue: 1 << 4)

  /// CSE, bits 18:16: 0 no restriction, 1 alone on the namespace, 2 alone on the controller.
  public var submissionRestriction: UInt8 { UInt8(rawValue.bits(16, 3)) }
}

/// The Commands Supported and Effects log, LID 05h, 4096 bytes (NVMe Base 2.0, 5.16.1.6).
public struct CommandEffectsLog: Equatable, Sendable {
  public static let byteCount = 4096

  /// Bytes 0–1023: one for each admin opcode.
  public private(set) var admin = [CommandEffects](repeating: [], count: 256)
  /// Bytes 1024–2047: one for each I/O opcode.
  public private(set) var io = [CommandEffects](repeating: [], count: 256)

  /// No command supported.
  public init() {}

  public subscript(opcode: AdminOpcode) -> CommandEffects {
    get { admin[Int(opcode.rawValue)] }
    set { admin[Int(opcode.rawValue)] = newValue }
  }

  public subscript(opcode: IOOpcode) -> CommandEffects {
    get { io[Int(opcode.rawValue)] }
    set { io[Int(opcode.rawValue)] = newValue }
  }

  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    for opcode in 0..<256 {
      admin[opcode] = CommandEffects(rawValue: bytes.littleEndian(at: offset + 4 * opcode))
      io[opcode] = CommandEffects(rawValue: bytes.littleEndian(at: offset + 1024 + 4 * opcode))
    }
  }

  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.zero(Self.byteCount, at: offset)
    for opcode in 0..<256 {
      bytes.storeLittleEndian(admin[opcode].rawValue, at: offset + 4 * opcode)
      bytes.storeLittleEndian(io[opcode].rawValue, at: offset + 1024 + 4 * opcode)
    }
  }
}
