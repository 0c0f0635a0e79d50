import Foundation

/// One write transaction in progress: what it may do to the tables, and the counters it keeps true.
struct SQLiteChange {
  let database: SQLiteDatabase
  let now: UInt64
  let bootID: String
  private var head: SQLiteHead
  private var isHeadChanged = false
  /// Someone else may have to wake up: keys changed, or there is a lease to watch over.
  private(set) var isWorthRinging = false

  /// The last revision that changed something, this transaction included.
  var revision: StoreRevision { head.revision }

  /// Reads the counters and, first of all, lets the leases go that are over.
  init(database: SQLiteDatabase, now: UInt64, bootID: String) throws(StoreError) {
    self.database = database
    self.now = now
    self.bootID = bootID
    head = try database.head()
    try expireLeases()
  }

  func entry(_ key: String) throws(StoreError) -> StoreEntry? { try database.entry(key) }

  func holds(_ compare: StoreCompare) throws(StoreError) -> Bool {
    let found = try database.entry(compare.key)
    return switch compare {
    case .modRevision(_, let revision): (found?.modRevision ?? 0) == revision
    case .absent: found == nil
    case .value(_, let value): found?.value == value
    }
  }

  /// Applies all operations at the next revision.
  mutating func apply(_ operations: [StoreOperation]) throws(StoreError) {
    let next = revision + 1
    var isChanged = false
    for operation in operations {
      switch operation {
      case .put(let key, let value, let lease):
        if lease != 0, try database.integer("SELECT 1 FROM lease WHERE id = ?", [.integer(lease)]) == nil {
          throw .leaseNotFound(id: lease)
        }
        try put(key, value, lease, at: next)
        isChanged = true
      case .delete(let key):
        if try delete(key, at: next) { isChanged = true }
      }
    }
    if isChanged { advance(to: next) }
  }

  mutating func grantLease(ttlSeconds: Int) throws(StoreError) -> StoreLeaseID {
    let id = UInt64.random(in: 1...UInt64(Int64.max))
    let values: [SQLiteValue] = [
      .integer(id), .integer(UInt64(ttlSeconds)), .integer(now + UInt64(ttlSeconds) * 1_000_000_000), .text(bootID),
    ]
    try database.run("INSERT INTO lease (id, ttl_seconds, expires_at, boot_id) VALUES (?, ?, ?, ?)", values)
    isWorthRinging = true
    return id
  }

  /// Rings no bell: whoever sleeps until the old time finds the new one then.
  func keepAlive(_ lease: StoreLeaseID) throws(StoreError) {
    let sql = "UPDATE lease SET expires_at = ? + ttl_seconds * 1000000000 WHERE id = ?"
    if try database.run(sql, [.integer(now), .integer(lease)]) == 0 { throw .leaseNotFound(id: lease) }
  }

  mutating func revoke(_ lease: StoreLeaseID) throws(StoreError) {
    if try database.run("DELETE FROM lease WHERE id = ?", [.integer(lease)]) == 0 { throw .leaseNotFound(id: lease) }
    var keys: [String] = []
    try database.query("SELECT key FROM entry WHERE lease = ? AND lease <> 0 ORDER BY key", [.integer(lease)]) { row in
      keys.append(row.text(0))
      return true
    }
    try apply(keys.map { .delete(key: $0) })
    isWorthRinging = true
  }

  /// Writes the counters back and lets the oldest history go if there is too much.
  mutating func finish(history: SQLiteStore.HistoryLimits) throws(StoreError) {
    if !isHeadChanged { return }
    if head.eventCount > history.events || head.eventBytes > history.bytes { try compact(history) }
    let values: [SQLiteValue] = [.integer(revision), .integer(head.compacted), .integer(head.eventCount), .integer(head.eventBytes)]
    try database.run("UPDATE head SET revision = ?, compacted = ?, event_count = ?, event_bytes = ? WHERE id = 1", values)
  }

  private mutating func expireLeases() throws(StoreError) {
    var expired: [StoreLeaseID] = []
    let sql = "SELECT id FROM lease WHERE expires_at <= ? OR boot_id <> ? ORDER BY expires_at, id"
    try database.query(sql, [.integer(now), .text(bootID)]) { row in
      expired.append(row.integer(0))
      return true
    }
    for lease in expired { try revoke(lease) }
  }

  private mutating func advance(to next: StoreRevision) {
    head.revision = next
    isHeadChanged = true
    isWorthRinging = true
  }

  private mutating func put(_ key: String, _ value: Data, _ lease: StoreLeaseID, at next: StoreRevision) throws(StoreError) {
    let found = try database.entry(key)
    let entry = StoreEntry(
      key: key, value: value, createRevision: found?.createRevision ?? next, modRevision: next, version: (found?.version ?? 0) &+ 1,
      lease: lease)
    try database.run(
      """
      INSERT INTO entry (key, value, create_revision, mod_revision, version, lease) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
      ON CONFLICT (key) DO UPDATE SET value = ?2, create_revision = ?3, mod_revision = ?4, version = ?5, lease = ?6
      """,
      [
        .text(key), .blob(value), .integer(entry.createRevision), .integer(next), .integer(entry.version), .integer(lease),
      ])
    try record(.put(entry))
  }

  private mutating func delete(_ key: String, at next: StoreRevision) throws(StoreError) -> Bool {
    if try database.run("DELETE FROM entry WHERE key = ?", [.text(key)]) == 0 { return false }
    try record(.delete(key: key, revision: next))
    return true
  }

  private mutating func record(_ event: StoreEvent) throws(StoreError) {
    var values: [SQLiteValue] = [.integer(event.revision), .text(event.key)]
    switch event {
    case .put(let entry):
      values += [
        .integer(1), .blob(entry.value), .integer(entry.createRevision), .integer(entry.version), .integer(entry.lease),
      ]
      head.eventBytes += UInt64(entry.value.count)
    case .delete:
      values += [.integer(0), .blob(Data()), .integer(0), .integer(0), .integer(0)]
    }
    try database.run(
      "INSERT INTO event (revision, key, is_put, value, create_revision, version, lease) VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    head.eventCount += 1
    head.eventBytes += UInt64(event.key.utf8.count)
  }

  /// Drops whole revisions, oldest first, until three quarters of the limits are left, but never the newest revision.
  private mutating func compact(_ history: SQLiteStore.HistoryLimits) throws(StoreError) {
    let (keptEvents, keptBytes) = (history.events / 4 * 3, history.bytes / 4 * 3)
    var (count, bytes, cut) = (head.eventCount, head.eventBytes, head.compacted)
    let newest = revision
    let sql = """
      SELECT revision, count(*), sum(length(value) + length(key)) FROM event WHERE revision > ? GROUP BY revision ORDER BY revision
      """
    try database.query(sql, [.integer(head.compacted)]) { row in
      if row.integer(0) >= newest || (count <= keptEvents && bytes <= keptBytes) { return false }
      cut = row.integer(0)
      count -= min(count, row.integer(1))
      bytes -= min(bytes, row.integer(2))
      return true
    }
    try database.run("DELETE FROM event WHERE revision <= ?", [.integer(cut)])
    (head.eventCount, head.eventBytes, head.compacted) = (count, bytes, cut)
  }
}
