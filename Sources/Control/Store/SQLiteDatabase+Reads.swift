import Foundation

/// The store's counters.
struct SQLiteHead {
  /// The last revision that changed something.
  var revision: StoreRevision
  /// The highest revision whose events are gone.
  var compacted: StoreRevision
  var eventCount: UInt64
  var eventBytes: UInt64
}

/// Queries that both a snapshot and a write transaction ask.
extension SQLiteDatabase {
  private static let columns = "key, value, create_revision, mod_revision, version, lease"

  func entry(_ key: String) throws(StoreError) -> StoreEntry? {
    var found: StoreEntry?
    try query("SELECT \(Self.columns) FROM entry WHERE key = ?", [.text(key)]) { row in
      found = StoreEntry(row)
      return false
    }
    return found
  }

  /// Up to `limit` entries; a prefix's keys lie between it and it followed by a byte above all allowed ones.
  func entries(prefix: String, after: String?, limit: Int) throws(StoreError) -> [StoreEntry] {
    var found: [StoreEntry] = []
    let values: [SQLiteValue] = [.text(prefix), .text(prefix + "\u{7F}"), .text(after ?? ""), .integer(UInt64(limit))]
    try query("SELECT \(Self.columns) FROM entry WHERE key >= ? AND key < ? AND key > ? ORDER BY key LIMIT ?", values) { row in
      found.append(StoreEntry(row))
      return true
    }
    return found
  }

  /// The store's counters, checked.
  func head() throws(StoreError) -> SQLiteHead {
    var found: SQLiteHead?
    try query("SELECT revision, compacted, event_count, event_bytes FROM head WHERE id = 1") { row in
      found = SQLiteHead(
        revision: row.integer(0), compacted: row.integer(1), eventCount: row.integer(2), eventBytes: row.integer(3))
      return false
    }
    guard let head = found else { throw .corrupt(path: path, reason: "its head row is missing") }
    // Far beyond what anybody reaches by counting, and far from where counting on would overflow.
    let limit: UInt64 = 1 << 62
    if head.compacted > head.revision || max(head.revision, head.eventCount, head.eventBytes) > limit {
      throw .corrupt(path: path, reason: "its head row is out of range")
    }
    return head
  }

  /// The events under `prefix` from revision `from` on, up to the first whole revision that reaches `limit`.
  func events(prefix: String, from: StoreRevision, limit: Int) throws(StoreError) -> [StoreEvent] {
    var found: [StoreEvent] = []
    let sql = """
      SELECT key, value, create_revision, revision, version, lease, is_put FROM event INDEXED BY event_revision
      WHERE revision >= ? AND key >= ? AND key < ? ORDER BY revision, sequence
      """
    try query(sql, [.integer(from), .text(prefix), .text(prefix + "\u{7F}")]) { row in
      if found.count >= limit, let last = found.last, last.revision != row.integer(3) { return false }
      found.append(row.integer(6) != 0 ? .put(StoreEntry(row)) : .delete(key: row.text(0), revision: row.integer(3)))
      return true
    }
    return found
  }

  /// When the next lease ends, on the boot clock; those of another boot have ended at 0.
  func nextLeaseExpiry(bootID: String) throws(StoreError) -> UInt64? {
    try integer("SELECT min(CASE WHEN boot_id = ? THEN expires_at ELSE 0 END) FROM lease", [.text(bootID)])
  }
}

extension StoreEntry {
  /// A row of key, value, create revision, modification revision, version, lease.
  fileprivate init(_ row: borrowing SQLiteRow) {
    self.init(
      key: row.text(0), value: row.blob(1), createRevision: row.integer(2), modRevision: row.integer(3), version: row.integer(4),
      lease: row.integer(5))
  }
}
