/// The I/O Command Set data structure, CNS 1Ch, 4096 bytes: 512 combinations of command sets that a host can choose from
/// (NVMe Base 2.0, 5.17.2.19).
public struct CommandSetCombinations: Equatable, Sendable {
  public static let byteCount = 4096
  public static let maximumCount = 512

  /// Bit n of a combination is the command set with CSI n; 512 at most, none of them 0.
  public var combinations: [UInt64]

  public init(_ combinations: [UInt64]) { self.combinations = combinations }

  /// The NVM command set alone.
  public static let nvmOnly = CommandSetCombinations([1 << 0])

  /// Decodes up to the first combination without any command set.
  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    combinations = []
    for index in 0..<Self.maximumCount {
      let combination: UInt64 = bytes.littleEndian(at: offset + 8 * index)
      if combination == 0 { break }
      combinations.append(combination)
    }
  }

  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    precondition(combinations.count <= Self.maximumCount)
    bytes.zero(Self.byteCount, at: offset)
    for (index, combination) in combinations.enumerated() { bytes.storeLittleEndian(combination, at: offset + 8 * index) }
  }
}
