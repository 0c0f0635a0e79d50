/// What `keelson recover` asks of the store beside volumes.
public enum StoreRecovery {
  /// Memories of pools up to this revision are overruled from now on. Never taken back to less.
  public static func trust(upTo revision: UInt64, in store: any StateStore) throws {
    for _ in 0..<100 {
      let stored = try store.object(StoreTrust.self, at: Keys.storeTrust)
      if let stored, stored.object.upToRevision >= revision { return }
      let compare = stored?.isUnchanged ?? .absent(key: Keys.storeTrust)
      let put = StoreOperation.put(key: Keys.storeTrust, value: StoreTrust(upToRevision: revision).encoded())
      if try store.transact(StoreTransaction(compares: [compare], operations: [put])).committedRevision != nil { return }
    }
    throw StoreExport.Failure.contended
  }
}
