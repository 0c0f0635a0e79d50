import Pool

/// The operator's word that a store which is behind what pools remember, or another one, is the right one all the same. At `spec/trust`.
public struct StoreTrust: StoredObject {
  public static let kind = "trust in the store"

  /// Memories up to this revision, of an earlier store or of this one before it went back, are overruled.
  public var upToRevision: UInt64
  /// Other stores whose memory is overruled, by identity. Absent for none.
  public var identities: [String]?

  /// The latest that are kept.
  public static let maximumIdentities = 64

  public init(upToRevision: UInt64, identities: [String]? = nil) {
    self.upToRevision = upToRevision
    self.identities = identities
  }
}

/// What the pools of a node remember of the state store (R18).
struct StoreRecollection: Equatable {
  struct OfPool: Equatable {
    /// `.none` for one that has lived by no store.
    var memory: StoreMemory
    /// The highest revision that any of its replicas was told with a claim, of whichever store that was.
    var claimedRevision: UInt64
    /// It holds no replica.
    var isEmpty = false

    var revision: UInt64 { max(memory.revision, claimedRevision) }
  }

  var pools: [OfPool] = []

  /// How far a store of this identity had come; pools that lived by another one say nothing about it.
  func revision(under identity: PoolIdentifier) -> UInt64 {
    pools.filter { $0.memory.identity == identity || $0.memory.identity == .none }.map(\.revision).max() ?? 0
  }

  /// The stores that the pools lived by, if none did by this one. A pool of another cluster beside pools of this one is that pool's affair: nothing on
  /// it is assigned here. In an empty one there is nothing to be lost.
  func others(than identity: PoolIdentifier) -> [PoolIdentifier] {
    if pools.contains(where: { $0.memory.identity == identity }) { return [] }
    return Set(pools.filter { !$0.isEmpty }.map(\.memory.identity)).subtracting([PoolIdentifier.none]).sorted()
  }

  /// The highest of all, whosever.
  var highestRevision: UInt64 { pools.map(\.revision).max() ?? 0 }
}

/// Why a node does not live by the store that it was given. At `status/<node>/doubt` while that is so; the controller says it for all nodes, at
/// `status/controller/doubt`, when the store went back in time: then nobody begins to serve, and nothing is decided.
public struct StoreDoubt: StoredObject {
  public static let kind = "doubt of the store"

  public var message: String
  /// The highest revision of this store, or of the others, that is remembered.
  public var revision: UInt64
  /// Other stores that pools of the node lived by. Absent for none: then it is this one that went back.
  public var identities: [String]?

  public init(message: String, revision: UInt64, identities: [String]? = nil) {
    self.message = message
    self.revision = revision
    self.identities = identities
  }

  /// Whether the store itself went back, which concerns everybody, and not only the pools of a node are another store's.
  public var concernsAll: Bool { identities == nil }

  /// Whether the operator's word covers it.
  public func isOverruled(by trust: StoreTrust?) -> Bool {
    guard let trust else { return false }
    if let identities, !Set(identities).isSubset(of: trust.identities ?? []) { return false }
    return revision <= trust.upToRevision
  }

  /// Why nothing is to be served by what the store says; nil if it may be. `revision` is the store's own.
  init?(_ recollection: StoreRecollection, identity: PoolIdentifier, revision: StoreRevision, trust: StoreTrust?) {
    let help = "Restore the latest, or confirm this one: keelson recover --trust-store --force"
    let others = recollection.others(than: identity).map(\.description)
    if !others.isEmpty {
      self.init(
        message:
          "the state store (\(identity)) is not the one that the pools here lived by (\(others.joined(separator: ", "))): what it does not "
          + "know is not gone. Name the right one, or confirm this one: keelson recover --trust-store --force",
        revision: recollection.highestRevision, identities: others)
    } else {
      let remembered = recollection.revision(under: identity)
      guard remembered > revision else { return nil }
      self.init(
        message:
          "the state store is older than what the pools here remember (revision \(revision), they know of \(remembered)): it was restored "
          + "from a copy, and may not know who is in sync. \(help)", revision: remembered)
    }
    if isOverruled(by: trust) { return nil }
  }
}
