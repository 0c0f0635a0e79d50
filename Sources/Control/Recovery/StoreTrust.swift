/// The operator's word that a store which is behind what pools remember is the right one all the same. At `spec/trust`.
public struct StoreTrust: StoredObject {
  public static let kind = "trust in the store"

  /// Memories up to this revision, of an earlier store or of this one before it went back, are overruled.
  public var upToRevision: UInt64

  public init(upToRevision: UInt64) { self.upToRevision = upToRevision }

  /// Why nothing is to be served by what the store says (R18); nil if it may be. `remembered` is the highest revision that the node's pools
  /// remember, `revision` the store's own.
  static func doubt(remembered: UInt64, revision: StoreRevision, trust: StoreTrust?) -> String? {
    guard remembered > revision, remembered > trust?.upToRevision ?? 0 else { return nil }
    return
      "the state store is older than what the pools here remember (revision \(revision), they know of \(remembered)): it was restored from a "
      + "copy or is another one, and may not know who is in sync. Restore the latest, or confirm this one: keelson recover --trust-store --force"
  }
}
