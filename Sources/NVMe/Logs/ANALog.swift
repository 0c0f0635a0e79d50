/// The state of an ANA group as a controller sees it (NVMe Base 2.0, 8.1.1).
@frozen public enum ANAState: UInt8, Sendable, CaseIterable {
  case optimized = 0x01
  case nonOptimized = 0x02
  case inaccessible = 0x03
  case persistentLoss = 0x04
  case change = 0x0F

  /// The status of a command that needs the namespace's data in this state; nil where it is served.
  public var status: Status? {
    switch self {
    case .optimized, .nonOptimized: nil
    case .inaccessible: .anaInaccessible
    case .persistentLoss: .anaPersistentLoss
    case .change: .anaTransition
    }
  }
}

/// One group of the ANA log: 32 bytes, followed by 4 for each namespace (NVMe Base 2.0, 5.16.1.13, "ANA Group Descriptor Format").
public struct ANAGroup: Equatable, Sendable {
  /// Bytes without the namespaces.
  public static let headByteCount = 32

  /// Bytes 0–3.
  public var identifier: UInt32
  /// Bytes 8–15: changes with every change of the group; 0 for not reported.
  public var changeCount: UInt64
  /// Byte 16, bits 3:0.
  public var state: ANAState
  /// Bytes 32 and on, ascending; bytes 4–7 are their number.
  public var namespaces: [UInt32]

  public init(identifier: UInt32, changeCount: UInt64 = 0, state: ANAState, namespaces: [UInt32] = []) {
    self.identifier = identifier
    self.changeCount = changeCount
    self.state = state
    self.namespaces = namespaces
  }
}

/// The Asymmetric Namespace Access log, LID 0Ch: 16 bytes and then the groups (NVMe Base 2.0, 5.16.1.13).
public struct ANALog: Equatable, Sendable {
  public static let headByteCount = 16

  /// Bytes 0–7: changes with every change of the log.
  public var changeCount: UInt64
  /// In ascending order of their identifiers; bytes 8–9 are their number.
  public var groups: [ANAGroup]

  public init(changeCount: UInt64, groups: [ANAGroup]) {
    self.changeCount = changeCount
    self.groups = groups
  }

  /// Bytes of the whole log. With `groupsOnly` (RGO, bit 0 of the log specific parameter) no namespaces are listed.
  public func byteCount(groupsOnly: Bool = false) -> Int {
    var count = Self.headByteCount + groups.count * ANAGroup.headByteCount
    if !groupsOnly { for group in groups { count += 4 * group.namespaces.count } }
    return count
  }

  /// Encodes `byteCount(groupsOnly:)` bytes.
  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0, groupsOnly: Bool = false) {
    precondition(groups.count <= 0xFFFF)
    bytes.zero(byteCount(groupsOnly: groupsOnly), at: offset)
    bytes.storeLittleEndian(changeCount, at: offset)
    bytes.storeLittleEndian(UInt16(groups.count), at: offset + 8)
    var position = offset + Self.headByteCount
    for group in groups {
      let namespaces = groupsOnly ? [] : group.namespaces
      bytes.storeLittleEndian(group.identifier, at: position)
      bytes.storeLittleEndian(UInt32(namespaces.count), at: position + 4)
      bytes.storeLittleEndian(group.changeCount, at: position + 8)
      bytes.storeLittleEndian(group.state.rawValue, at: position + 16)
      position += ANAGroup.headByteCount
      for identifier in namespaces {
        bytes.storeLittleEndian(identifier, at: position)
        position += 4
      }
    }
  }

  /// Decodes the log; what it announces must be in `bytes`, so memory is bounded by them.
  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.headByteCount, at: offset)
    changeCount = bytes.littleEndian(at: offset)
    groups = []
    let groupCount = Int(bytes.littleEndian(at: offset + 8, as: UInt16.self))
    var position = offset + Self.headByteCount
    for _ in 0..<groupCount {
      try bytes.require(ANAGroup.headByteCount, at: position)
      guard let state = ANAState(rawValue: bytes.littleEndian(at: position + 16, as: UInt8.self) & 0xF) else { throw .invalidField }
      var group = ANAGroup(
        identifier: bytes.littleEndian(at: position), changeCount: bytes.littleEndian(at: position + 8), state: state)
      let namespaceCount = Int(bytes.littleEndian(at: position + 4, as: UInt32.self))
      position += ANAGroup.headByteCount
      try bytes.require(4 * namespaceCount, at: position)
      for _ in 0..<namespaceCount {
        group.namespaces.append(bytes.littleEndian(at: position))
        position += 4
      }
      groups.append(group)
    }
  }
}
