import CLinux
import Foundation
import Synchronization

/// The SQL of a store: two connections, each under its lock, and how a transaction runs on them. Knows no threads and no watches.
final class SQLiteEngine: Sendable {
  let path: String
  let bellPath: String
  let identity: String
  let history: SQLiteStore.HistoryLimits
  let bootID: String
  /// Nil once closed.
  private let writer: Mutex<SQLiteDatabase?>
  private let reader: Mutex<SQLiteDatabase?>

  init(path: String, busyTimeoutMilliseconds: Int32, history: SQLiteStore.HistoryLimits) throws(StoreError) {
    self.path = path
    bellPath = path + "-bell"
    self.history = history
    bootID = try Self.readBootID()
    // One process at a time prepares the file: switching to WAL does not wait for others by itself.
    let lock = try Self.lock(path: bellPath, timeoutMilliseconds: busyTimeoutMilliseconds)
    defer { _ = CLinux.close(lock) }
    let writing = try SQLiteDatabase(path: path, busyTimeoutMilliseconds: busyTimeoutMilliseconds)
    identity = try SQLiteSchema.prepare(writing)
    let reading = try SQLiteDatabase(path: path, busyTimeoutMilliseconds: busyTimeoutMilliseconds)
    try reading.execute("PRAGMA query_only = ON;")
    writer = Mutex(writing)
    reader = Mutex(reading)
  }

  func close() {
    writer.withLock { $0 = nil }
    reader.withLock { $0 = nil }
  }

  /// Runs `body` on one snapshot of the store.
  func read<Value: Sendable>(_ body: (SQLiteDatabase) throws(StoreError) -> Value) throws(StoreError) -> Value {
    try reader.withLock { (database) throws(StoreError) -> Value in
      guard let database else { throw .closed }
      try database.execute("BEGIN;")
      do throws(StoreError) {
        let value = try body(database)
        try database.execute("COMMIT;")
        return value
      } catch {
        try? database.execute("ROLLBACK;")
        throw error
      }
    }
  }

  /// Runs `body` alone among all writers of all processes. If it changed something, commits durably and rings the bell.
  func write<Value: Sendable>(_ body: (inout SQLiteChange) throws(StoreError) -> Value) throws(StoreError) -> Value {
    try writer.withLock { (database) throws(StoreError) -> Value in
      guard let database else { throw .closed }
      try database.execute("BEGIN IMMEDIATE;")
      let value: Value
      let ring: Int32?
      do throws(StoreError) {
        var change = try SQLiteChange(database: database, now: BootClock.nanoseconds(), bootID: bootID)
        value = try body(&change)
        try change.finish(history: history)
        ring = change.isWorthRinging ? try SQLiteBell.beginRing(path: bellPath) : nil
      } catch {
        try? database.execute("ROLLBACK;")
        throw error
      }
      defer { if let ring { SQLiteBell.finishRing(ring) } }
      do throws(StoreError) {
        try database.execute("COMMIT;")
      } catch {
        try? database.execute("ROLLBACK;")
        throw .outcomeUnknown(reason: error.description)
      }
      return value
    }
  }

  /// The id of this boot: leases of another boot are over, whatever their clock said.
  private static func readBootID() throws(StoreError) -> String {
    guard let text = try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8) else {
      throw .unavailable(reason: "cannot read /proc/sys/kernel/random/boot_id")
    }
    return text.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  private static func lock(path: String, timeoutMilliseconds: Int32) throws(StoreError) -> Int32 {
    let descriptor = unsafe keelson_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    if descriptor < 0 { throw .unavailable(reason: "cannot open \(path): \(SQLiteBell.message(-descriptor))") }
    var waitedMilliseconds: Int32 = 0
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      if waitedMilliseconds >= timeoutMilliseconds {
        _ = CLinux.close(descriptor)
        throw .busy(path: path)
      }
      usleep(10_000)
      waitedMilliseconds += 10
    }
    return descriptor
  }
}

/// CLOCK_BOOTTIME: the same for all processes of a machine, and it goes on while the machine sleeps.
enum BootClock {
  static func nanoseconds() -> UInt64 {
    var time = timespec()
    _ = unsafe clock_gettime(CLOCK_BOOTTIME, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
