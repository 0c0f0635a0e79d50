import Foundation

/// The tables of a SQLite state store, and how a file becomes one or is refused.
///
/// - `head`: one row: the revision, the highest revision whose events are gone, the sums that bound the history, the identity.
/// - `entry`: the live keys. `event`: the history for watches, in order of `sequence`. `lease`: the live leases.
enum SQLiteSchema {
  /// "Keel", in the file's header (sqlite.org/fileformat2.html, 1.3.8 "Application ID").
  static let applicationID: UInt64 = 0x4B65_656C
  static let version: UInt64 = 1

  private static let tables = """
    CREATE TABLE head (
      id INTEGER PRIMARY KEY CHECK (id = 1), identity TEXT NOT NULL, revision INTEGER NOT NULL, compacted INTEGER NOT NULL,
      event_count INTEGER NOT NULL, event_bytes INTEGER NOT NULL);
    CREATE TABLE entry (
      key TEXT PRIMARY KEY, value BLOB NOT NULL, create_revision INTEGER NOT NULL, mod_revision INTEGER NOT NULL,
      version INTEGER NOT NULL, lease INTEGER NOT NULL);
    CREATE INDEX entry_lease ON entry (lease) WHERE lease <> 0;
    CREATE TABLE event (
      sequence INTEGER PRIMARY KEY, revision INTEGER NOT NULL, key TEXT NOT NULL, is_put INTEGER NOT NULL, value BLOB NOT NULL,
      create_revision INTEGER NOT NULL, version INTEGER NOT NULL, lease INTEGER NOT NULL);
    CREATE INDEX event_revision ON event (revision);
    CREATE TABLE lease (
      id INTEGER PRIMARY KEY, ttl_seconds INTEGER NOT NULL, expires_at INTEGER NOT NULL, boot_id TEXT NOT NULL);
    CREATE INDEX lease_expires_at ON lease (expires_at);
    """

  /// Refuses a foreign or newer file, lays the tables into an empty one. Leaves a refused file as it was.
  /// Returns the store's identity. The caller keeps other processes from preparing the same file meanwhile.
  static func prepare(_ database: SQLiteDatabase) throws(StoreError) -> String {
    let path = database.path
    let foundApplication = try database.integer("PRAGMA application_id") ?? 0
    let foundVersion = try database.integer("PRAGMA user_version") ?? 0
    let objectCount = try database.integer("SELECT count(*) FROM sqlite_schema") ?? 0
    let isEmpty = objectCount == 0 && foundApplication == 0 && foundVersion == 0
    if !isEmpty && foundApplication != applicationID {
      throw .foreignFile(path: path, reason: "it is a SQLite database of another program")
    }
    if foundVersion > version {
      throw .newerSchema(path: path, found: foundVersion, known: version)
    }
    try database.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
    if isEmpty {
      try database.execute("BEGIN IMMEDIATE;")
      try database.execute(tables)
      try database.run("INSERT INTO head VALUES (1, ?, 0, 0, 0, 0)", [.text(UUID().uuidString.lowercased())])
      try database.execute("PRAGMA application_id = \(applicationID); PRAGMA user_version = \(version); COMMIT;")
    }
    var identity = ""
    try database.query("SELECT identity FROM head WHERE id = 1") { row in
      identity = row.text(0)
      return false
    }
    if identity.isEmpty { throw .corrupt(path: path, reason: "its head row is missing") }
    return identity
  }
}
