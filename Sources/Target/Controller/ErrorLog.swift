import NVMe

/// The newest failed commands, for the Error Information log (NVMe Base 2.0, 5.16.1.2).
struct ErrorLog {
  static let capacity = 64

  /// Errors since the controller began.
  private(set) var totalCount: UInt64 = 0
  private var ring: [ErrorLogEntry] = []

  /// `entry.errorCount` and the transport are filled in here.
  mutating func record(_ entry: ErrorLogEntry) {
    var entry = entry
    totalCount += 1
    entry.errorCount = totalCount
    entry.transportType = DiscoveryLogEntry.transportTypeTCP
    if ring.count < Self.capacity { ring.append(entry) } else { ring[Int((totalCount - 1) % UInt64(Self.capacity))] = entry }
  }

  /// The newest first.
  var entries: [ErrorLogEntry] {
    (0..<ring.count).map { age in ring[Int((totalCount - 1 - UInt64(age)) % UInt64(Self.capacity))] }
  }
}
