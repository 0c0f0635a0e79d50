/// Where a pool lives, as the command line says it: a path, `mem:512MiB`, or `drill:` and a path.
public enum PoolLocation: Equatable, Sendable, CustomStringConvertible {
  /// A regular file or a block device.
  case path(String)
  /// As `path`, but what is not flushed is lost when the process is killed, as in a power loss: for tests and drills.
  case drill(path: String)
  /// Memory of this process: volatile.
  case memory(byteCount: UInt64)

  /// Reads `mem:SIZE` (SIZE in bytes or with KiB, MiB, GiB, TiB), `drill:PATH`, or a path; throws `invalidLocation`.
  public init(_ text: String) throws(PoolError) {
    guard text.hasPrefix("mem:") else {
      if text.hasPrefix(Self.drillPrefix) {
        let path = String(text.dropFirst(Self.drillPrefix.count))
        guard !path.isEmpty else { throw .invalidLocation(text: text) }
        self = .drill(path: path)
        return
      }
      guard !text.isEmpty else { throw .invalidLocation(text: text) }
      self = .path(text)
      return
    }
    guard let byteCount = Self.byteCount(text.dropFirst(4)), byteCount > 0 else { throw .invalidLocation(text: text) }
    self = .memory(byteCount: byteCount)
  }

  private static let drillPrefix = "drill:"

  private static func byteCount(_ text: Substring) -> UInt64? {
    let units: [(suffix: String, shift: UInt64)] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)]
    for unit in units where text.hasSuffix(unit.suffix) {
      guard let count = UInt64(text.dropLast(3)), count <= UInt64.max >> (unit.shift + 1) else { return nil }
      return count << unit.shift
    }
    return UInt64(text)
  }

  public var description: String {
    switch self {
    case .path(let path): return path
    case .drill(let path): return Self.drillPrefix + path
    case .memory(let byteCount):
      for (suffix, shift) in [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)] as [(String, UInt64)]
      where byteCount >= 1 << shift && byteCount % (1 << shift) == 0 {
        return "mem:\(byteCount >> shift)\(suffix)"
      }
      return "mem:\(byteCount)"
    }
  }
}
