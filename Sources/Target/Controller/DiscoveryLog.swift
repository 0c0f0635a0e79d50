import NVMe

/// One thing a host can connect to, and which hosts are told of it.
public struct DiscoveryRecord: Equatable, Sendable {
  public let entry: DiscoveryLogEntry
  public let allowedHosts: HostFilter

  /// - Parameters:
  ///   - address: an IP address as text; it decides the address family.
  ///   - portIdentifier: the same for all that is reached through the same address and port.
  ///   - queueEntries: the most entries of an admin queue, 32 to 65,535.
  public init(
    subsystemName: QualifiedName, kind: DiscoveryLogEntry.SubsystemType, address: String, port: UInt16, portIdentifier: UInt16,
    allowedHosts: HostFilter = .any, queueEntries: UInt16 = 128
  ) {
    precondition(queueEntries >= 32 && address.utf8.count <= 256)
    let family: DiscoveryLogEntry.AddressFamily = address.utf8.contains(UInt8(ascii: ":")) ? .ipv6 : .ipv4
    var entry = DiscoveryLogEntry.tcp(
      kind, addressFamily: family, address: address, port: port, subsystemName: subsystemName, portIdentifier: portIdentifier,
      adminQueueSize: queueEntries, flags: kind == .nvm ? 0 : DiscoveryLogEntry.persistentConnectionsFlag)
    entry.transportRequirements |= Self.flowControlMayBeDisabled
    self.entry = entry
    self.allowedHosts = allowedHosts
  }

  /// TREQ bit 2.
  private static let flowControlMayBeDisabled: UInt8 = 1 << 2
}

/// The Discovery log, LID 70h: a header of 1024 bytes and as many for each record that a host may see (NVMe Base 2.0, 5.16.1.23).
public struct DiscoveryLog: Equatable, Sendable {
  /// The most records: what a host must be ready to read.
  public static let maximumRecordCount = 65_535

  public private(set) var records: [DiscoveryRecord]
  /// GENCTR: another number after every change.
  public private(set) var generation: UInt64

  public init(records: [DiscoveryRecord] = [], generation: UInt64 = 1) {
    precondition(records.count <= Self.maximumRecordCount)
    self.records = records
    self.generation = generation
  }

  /// True when that is a change; the generation is then one more.
  public mutating func replace(_ records: [DiscoveryRecord]) -> Bool {
    precondition(records.count <= Self.maximumRecordCount)
    if records == self.records { return false }
    self.records = records
    generation &+= 1
    return true
  }

  /// What `host` reads.
  func view(for host: QualifiedName) -> View {
    View(generation: generation, entries: records.filter { $0.allowedHosts.allows(host) }.map(\.entry))
  }

  /// The log as one host sees it.
  struct View {
    let generation: UInt64
    let entries: [DiscoveryLogEntry]

    var byteCount: Int { DiscoveryLogHeader.byteCount + entries.count * DiscoveryLogEntry.byteCount }

    /// Encodes the 1024 bytes number `index`: 0 is the header, then the records.
    func encodePart(_ index: Int, into bytes: inout MutableRawSpan) {
      if index == 0 {
        var header = DiscoveryLogHeader()
        header.generation = generation
        header.recordCount = UInt64(entries.count)
        header.encode(into: &bytes)
      } else {
        entries[index - 1].encode(into: &bytes)
      }
    }
  }
}
