import CSQLite
import Foundation

/// A value bound to a statement's parameter.
enum SQLiteValue {
  case integer(UInt64)
  case text(String)
  case blob(Data)
}

/// One SQLite connection: the only place that touches the C interface. Not for concurrent use: its owner holds a lock.
@safe final class SQLiteDatabase {
  let path: String
  private let handle: OpaquePointer
  private var statements: [String: OpaquePointer] = unsafe [:]

  /// Opens or creates the file at `path`.
  init(path: String, busyTimeoutMilliseconds: Int32) throws(StoreError) {
    var opened: OpaquePointer?
    let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
    let code = unsafe sqlite3_open_v2(path, &opened, flags, nil)
    guard let handle = unsafe opened else { throw .unavailable(reason: "cannot open \(path): out of memory") }
    self.path = path
    unsafe self.handle = handle
    if code != SQLITE_OK {
      let message = unsafe String(cString: sqlite3_errmsg(handle))
      unsafe sqlite3_close_v2(handle)
      throw Self.error(code, message, path: path)
    }
    unsafe sqlite3_busy_timeout(handle, busyTimeoutMilliseconds)
  }

  deinit {
    unsafe statements.values.forEach { _ = unsafe sqlite3_finalize($0) }
    unsafe sqlite3_close_v2(handle)
  }

  /// Runs statements without parameters or results.
  func execute(_ sql: String) throws(StoreError) {
    let code = unsafe sqlite3_exec(handle, sql, nil, nil, nil)
    if code != SQLITE_OK { throw error(code) }
  }

  /// Runs one statement and gives each row to `body`, which returns false to stop. `sql` is one of a fixed set: statements are kept.
  func query(_ sql: String, _ values: [SQLiteValue] = [], _ body: (borrowing SQLiteRow) -> Bool) throws(StoreError) {
    let statement = try unsafe prepared(sql)
    defer {
      unsafe sqlite3_reset(statement)
      unsafe sqlite3_clear_bindings(statement)
    }
    for (index, value) in values.enumerated() { try unsafe bind(value, to: statement, at: Int32(index + 1)) }
    while true {
      let code = unsafe sqlite3_step(statement)
      if code == SQLITE_DONE { return }
      if code != SQLITE_ROW { throw error(code) }
      if unsafe !body(SQLiteRow(statement: statement)) { return }
    }
  }

  /// Runs one statement without results. Returns how many rows it changed.
  @discardableResult
  func run(_ sql: String, _ values: [SQLiteValue] = []) throws(StoreError) -> Int {
    try query(sql, values) { _ in true }
    return unsafe Int(sqlite3_changes(handle))
  }

  /// The first column of the first row as an integer, nil without a row or if it is NULL.
  func integer(_ sql: String, _ values: [SQLiteValue] = []) throws(StoreError) -> UInt64? {
    var result: UInt64?
    try query(sql, values) { row in
      result = row.integerOrNil(0)
      return false
    }
    return result
  }

  private func prepared(_ sql: String) throws(StoreError) -> OpaquePointer {
    if let statement = unsafe statements[sql] { return unsafe statement }
    var statement: OpaquePointer?
    let code = unsafe sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
    guard code == SQLITE_OK, let statement = unsafe statement else { throw error(code) }
    unsafe statements[sql] = statement
    return unsafe statement
  }

  private func bind(_ value: SQLiteValue, to statement: OpaquePointer, at index: Int32) throws(StoreError) {
    let code: Int32
    switch value {
    case .integer(let number):
      code = unsafe sqlite3_bind_int64(statement, index, Int64(bitPattern: number))
    case .text(let text):
      code = unsafe keelson_sqlite3_bind_text(statement, index, text, UInt64(text.utf8.count))
    case .blob(let data):
      code = unsafe data.withUnsafeBytes { unsafe keelson_sqlite3_bind_blob(statement, index, $0.baseAddress, UInt64($0.count)) }
    }
    if code != SQLITE_OK { throw error(code) }
  }

  private func error(_ code: Int32) -> StoreError {
    unsafe Self.error(code, String(cString: sqlite3_errmsg(handle)), path: path)
  }

  /// What an extended result code (sqlite.org/rescode.html) means to the store's user.
  private static func error(_ code: Int32, _ message: String, path: String) -> StoreError {
    switch code & 0xFF {
    case SQLITE_BUSY, SQLITE_LOCKED: .busy(path: path)
    case SQLITE_NOTADB: .foreignFile(path: path, reason: message)
    case SQLITE_CORRUPT: .corrupt(path: path, reason: message)
    default: .unavailable(reason: "\(path): \(message) (SQLite \(code))")
    }
  }
}

/// The current row of a running query; valid only inside the query's body.
@safe struct SQLiteRow: ~Copyable {
  fileprivate let statement: OpaquePointer

  func integer(_ column: Int32) -> UInt64 { unsafe UInt64(bitPattern: sqlite3_column_int64(statement, column)) }

  func integerOrNil(_ column: Int32) -> UInt64? {
    unsafe sqlite3_column_type(statement, column) == SQLITE_NULL ? nil : integer(column)
  }

  func text(_ column: Int32) -> String {
    guard let bytes = unsafe sqlite3_column_text(statement, column) else { return "" }
    return unsafe String(cString: bytes)
  }

  func blob(_ column: Int32) -> Data {
    let bytes = unsafe sqlite3_column_blob(statement, column)
    let count = unsafe Int(sqlite3_column_bytes(statement, column))
    guard let bytes = unsafe bytes, count > 0 else { return Data() }
    return unsafe Data(bytes: bytes, count: count)
  }
}
