/// What `keelson recover` asks of the store beside volumes.
public enum StoreRecovery {
  /// Memories of pools up to this revision, and of these other stores, are overruled from now on. Never taken back to less.
  public static func trust(upTo revision: UInt64, identities: [String] = [], in store: any StateStore) throws {
    for _ in 0..<100 {
      let stored = try store.object(StoreTrust.self, at: Keys.storeTrust)
      let old = stored?.object ?? StoreTrust(upToRevision: 0)
      let known = old.identities ?? []
      let all = Array((known + identities.filter { !known.contains($0) }).suffix(StoreTrust.maximumIdentities))
      let trust = StoreTrust(upToRevision: max(revision, old.upToRevision), identities: all.isEmpty ? nil : all)
      if trust == stored?.object { return }
      let compare = stored?.isUnchanged ?? .absent(key: Keys.storeTrust)
      let put = StoreOperation.put(key: Keys.storeTrust, value: trust.encoded())
      if try store.transact(StoreTransaction(compares: [compare], operations: [put])).committedRevision != nil { return }
    }
    throw StoreExport.Failure.contended
  }
}
