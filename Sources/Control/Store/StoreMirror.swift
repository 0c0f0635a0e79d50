/// A copy of all entries under a prefix, kept current by a listing and then a watch's batches. Once it has caught up
/// with its listing, it is after each batch the store's state at one revision.
public struct StoreMirror: Sendable {
  private var entriesByKey: [String: StoreEntry] = [:]
  /// The revision this copy shows; a watch goes on at the next.
  public private(set) var revision: StoreRevision

  public init(_ page: StorePage) {
    revision = page.revision
    for entry in page.entries { entriesByKey[entry.key] = entry }
  }

  /// Applies a batch. Events at or below what is known already change nothing: pages after the first may run ahead of the watch.
  public mutating func apply(_ batch: StoreWatchBatch) {
    for event in batch.events {
      if let known = entriesByKey[event.key], known.modRevision >= event.revision { continue }
      switch event {
      case .put(let entry): entriesByKey[entry.key] = entry
      case .delete(let key, _): entriesByKey[key] = nil
      }
    }
    revision = max(revision, batch.revision)
  }

  public subscript(key: String) -> StoreEntry? { entriesByKey[key] }

  /// All entries, ascending by the keys' bytes.
  public var entries: [StoreEntry] {
    entriesByKey.values.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
  }
}
