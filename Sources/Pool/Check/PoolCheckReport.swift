/// What a check of a pool found.
public struct PoolCheckReport: Sendable {
  public enum Severity: String, Sendable {
    /// Worth knowing, and as it may be: what a crash leaves, for example.
    case note
    /// Damage that Keelson makes up for by itself: nothing is lost.
    case recoverable
    /// Damage that it cannot make up for.
    case damage
  }

  public struct Finding: Equatable, Sendable {
    public let severity: Severity
    /// Where on the file or device; nil where it has no one place.
    public let offsetBytes: UInt64?
    /// A sentence without a full stop.
    public let text: String
  }

  /// What the journal holds behind the checkpoint that is used.
  public struct JournalFacts: Equatable, Sendable {
    public var recordCount = 0
    public var entryCount = 0
    /// The sequence number that the next record gets.
    public var nextSequence: UInt64 = 0
    public var endOffsetBytes: UInt64 = 0
  }

  /// What there is in the pool.
  public struct StateFacts: Equatable, Sendable {
    public var replicaCount = 0
    public var snapshotCount = 0
    public var layerCount = 0
    /// Layers without a name that are being taken apart.
    public var dyingLayerCount = 0
    public var allocatedClusters = 0
    /// Clusters that hold data of which the metadata know.
    public var dataBlocks: UInt64 = 0
  }

  public internal(set) var location: String
  public internal(set) var findings: [Finding] = []
  /// Nil if no superblock could be read.
  public internal(set) var name: String?
  public internal(set) var id: Identifier?
  public internal(set) var devicePath = ""
  public internal(set) var deviceBytes: UInt64 = 0
  public internal(set) var clusterBytes: UInt64 = 0
  public internal(set) var clusterCount: UInt64 = 0
  public internal(set) var revision: UInt64 = 0
  /// The checkpoint that opening uses; nil if none can be.
  public internal(set) var checkpointNumber: UInt64?
  public internal(set) var journal = JournalFacts()
  public internal(set) var state = StateFacts()
  /// Whether a node could open it.
  public internal(set) var canBeOpened = false

  /// Nothing is damaged.
  public var isSound: Bool { canBeOpened && findings.allSatisfy { $0.severity == .note } }

  /// More findings than this are only counted.
  static let maximumFindings = 1000
  /// How many were found beyond that.
  public internal(set) var unlistedFindings = 0

  mutating func add(_ severity: Severity, at offsetBytes: UInt64? = nil, _ text: String) {
    if findings.count < Self.maximumFindings {
      findings.append(Finding(severity: severity, offsetBytes: offsetBytes, text: text))
    } else {
      unlistedFindings += 1
    }
  }
}
