import CLinux
import Foundation
import Testing

@testable import Control

/// What is particular to the SQLite store: files, processes, history bounds, sleep.
@Suite struct SQLiteStoreTests {
  @Test func survivesReopening() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/state.db"
    let first = try SQLiteStore(path: path)
    try first.put("a", "1")
    let lease = try first.grantLease(ttlSeconds: 60)
    try first.put("b", "2", lease: lease.id)
    let identity = first.identity
    first.close()
    let second = try SQLiteStore(path: path)
    #expect(second.identity == identity)
    #expect(try second.text("a") == "1")
    try second.keepAlive(lease.id)
    #expect(try second.watch(prefix: "", fromRevision: 1).poll()?.events.count == 2)
  }

  @Test func refusesForeignFiles() throws {
    let directory = try TemporaryDirectory()
    let text = directory.path + "/notes.txt"
    let content = Data(repeating: 0x41, count: 10_000)
    try content.write(to: URL(fileURLWithPath: text))
    #expect { try SQLiteStore(path: text) } throws: { error in
      guard case StoreError.foreignFile(let path, _) = error else { return false }
      return path == text && "\(error)".contains("is not a Keelson state store")
    }
    #expect(try Data(contentsOf: URL(fileURLWithPath: text)) == content)

    let other = directory.path + "/other.db"
    let database = try SQLiteDatabase(path: other, busyTimeoutMilliseconds: 100)
    try database.execute("CREATE TABLE recipe (name TEXT);")
    #expect(throws: StoreError.foreignFile(path: other, reason: "it is a SQLite database of another program")) {
      try SQLiteStore(path: other)
    }
    #expect(throws: StoreError.self) { try SQLiteStore(path: directory.path + "/no/such/state.db") }
  }

  @Test func refusesNewerSchema() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/state.db"
    try SQLiteStore(path: path).close()
    try SQLiteDatabase(path: path, busyTimeoutMilliseconds: 100).execute("PRAGMA user_version = 99;")
    #expect(throws: StoreError.newerSchema(path: path, found: 99, known: 1)) { try SQLiteStore(path: path) }
  }

  @Test(arguments: [
    "DELETE FROM head", "UPDATE head SET revision = -1", "UPDATE head SET compacted = 9", "UPDATE head SET event_count = -5",
  ])
  func damagedCountersAreNotBelieved(_ damage: String) throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/state.db"
    let store = try SQLiteStore(path: path)
    try store.put("a", "1")
    try SQLiteDatabase(path: path, busyTimeoutMilliseconds: 100).execute(damage)
    for attempt in [{ _ = try store.put("a", "2") }, { _ = try store.watch(prefix: "", fromRevision: nil) }] {
      #expect(throws: StoreError.self, performing: attempt)
    }
  }

  @Test func runsWithFullDurability() throws {
    let directory = try TemporaryDirectory()
    let database = try SQLiteDatabase(path: directory.path + "/state.db", busyTimeoutMilliseconds: 100)
    _ = try SQLiteSchema.prepare(database)
    #expect(try database.integer("PRAGMA synchronous") == 2)
    var mode = ""
    try database.query("PRAGMA journal_mode") { row in
      mode = row.text(0)
      return false
    }
    #expect(mode == "wal")
  }

  @Test func boundsItsHistory() throws {
    let directory = try TemporaryDirectory()
    let store = try SQLiteStore(path: directory.path + "/state.db", history: .init(events: 100, bytes: 1 << 20))
    let stale = try store.watch(prefix: "", fromRevision: 1)
    let quiet = try store.watch(prefix: "elsewhere/", fromRevision: 1)
    for number in 0..<300 {
      try store.put("a", "\(number)")
      if number % 50 == 0 { #expect(try quiet.poll() == nil) }
    }
    #expect { try stale.poll() } throws: { error in
      guard case StoreError.compacted(asked: 1, let oldest) = error else { return false }
      return oldest > 150 && oldest <= 300
    }
    #expect(throws: StoreError.self) { try store.watch(prefix: "", fromRevision: 100) }
    let watch = try store.watch(prefix: "", fromRevision: 299)
    #expect(try watch.poll()?.events.map(\.revision) == [299, 300])
    #expect(try quiet.poll() == nil)

    let large = Data(repeating: 1, count: StoreLimits.maximumValueBytes)
    for _ in 0..<8 { _ = try store.transact(StoreTransaction(operations: [.put(key: "large", value: large)])) }
    #expect(throws: StoreError.self) { try store.watch(prefix: "", fromRevision: 300) }
    #expect(try store.watch(prefix: "", fromRevision: 308).poll()?.events.count == 1)
  }

  @Test func aLockedStoreIsBusyAfterItsTime() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/state.db"
    let store = try SQLiteStore(path: path, busyTimeoutMilliseconds: 50)
    let other = try SQLiteDatabase(path: path, busyTimeoutMilliseconds: 50)
    try other.execute("BEGIN IMMEDIATE;")
    #expect(throws: StoreError.busy(path: path)) { try store.put("a", "1") }
    #expect(try store.get("a") == nil)
    try other.execute("ROLLBACK;")
    try store.put("a", "1")
  }

  @Test func leasesOfAnotherBootAreOver() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/state.db"
    let first = try SQLiteStore(path: path)
    let lease = try first.grantLease(ttlSeconds: 3600)
    try first.put("alive", "1", lease: lease.id)
    first.close()
    try SQLiteDatabase(path: path, busyTimeoutMilliseconds: 100).execute("UPDATE lease SET boot_id = 'before';")
    let second = try SQLiteStore(path: path)
    let watch = try second.watch(prefix: "", fromRevision: 2)
    #expect(try watch.next(timeoutNanoseconds: 5 * secondNanoseconds)?.events == [.delete(key: "alive", revision: 2)])
  }

  @Test func idleStoresSleep() throws {
    let directory = try TemporaryDirectory()
    let stores = try (0..<3).map { _ in try SQLiteStore(path: directory.path + "/state.db") }
    try stores[0].put("a", "1")
    let lease = try stores[0].grantLease(ttlSeconds: 60)
    let watches = try stores.map { try $0.watch(prefix: "", fromRevision: nil) }
    let threads = watches.map { watch in Thread { _ = try? watch.next(timeoutNanoseconds: nil) } }
    for thread in threads { thread.start() }
    usleep(400_000)
    let before = stores.map(\.watcher.wakeUpCount)
    usleep(700_000)
    #expect(stores.map(\.watcher.wakeUpCount) == before)
    try stores[0].keepAlive(lease.id)
    usleep(50_000)
    #expect(stores.map(\.watcher.wakeUpCount) == before)
    for watch in watches { watch.cancel() }
  }

  @Test func aLostBellIsHungAgain() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/state.db"
    let (reader, writer) = (try SQLiteStore(path: path), try SQLiteStore(path: path))
    let watch = try reader.watch(prefix: "", fromRevision: 1)
    try FileManager.default.removeItem(atPath: path + "-bell")
    usleep(100_000)
    try writer.put("a", "1")
    #expect(try watch.next(timeoutNanoseconds: 5 * secondNanoseconds)?.events.count == 1)
  }

  /// Another process is killed with SIGKILL in the middle of its transaction: nothing of it is seen, and the store goes on.
  @Test func aKilledWriterLeavesNothingBehind() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/state.db"
    let store = try SQLiteStore(path: path)
    try store.put("a", "1")
    let child = Process()
    child.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
    child.arguments = [
      "-c",
      """
      import sqlite3, sys, time
      database = sqlite3.connect(sys.argv[1], isolation_level=None)
      database.execute("BEGIN IMMEDIATE")
      database.execute("UPDATE entry SET value = x'00'")
      database.execute("UPDATE head SET revision = 77")
      print("ready", flush=True)
      time.sleep(60)
      """, path,
    ]
    let output = Pipe()
    child.standardOutput = output
    try child.run()
    #expect(String(decoding: output.fileHandleForReading.availableData, as: UTF8.self).hasPrefix("ready"))
    kill(child.processIdentifier, SIGKILL)
    child.waitUntilExit()
    #expect(try store.text("a") == "1")
    #expect(try store.put("a", "2") == 2)
    #expect(try SQLiteStore(path: path).text("a") == "2")
  }

  /// A writer killed between its commit and its own notice has rung: the kernel closes the bell for it.
  @Test func aWriterKilledAfterItsCommitHasRung() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/state.db"
    let store = try SQLiteStore(path: path)
    let watch = try store.watch(prefix: "", fromRevision: 1)
    let child = Process()
    child.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
    child.arguments = [
      "-c",
      """
      import os, signal, sqlite3, sys
      bell = os.open(sys.argv[1] + "-bell", os.O_WRONLY)
      database = sqlite3.connect(sys.argv[1], isolation_level=None)
      database.execute("BEGIN IMMEDIATE")
      database.execute("INSERT INTO event (revision, key, is_put, value, create_revision, version, lease) VALUES (1, 'a', 0, x'', 0, 0, 0)")
      database.execute("UPDATE head SET revision = 1, event_count = 1, event_bytes = 1")
      database.execute("COMMIT")
      os.kill(os.getpid(), signal.SIGKILL)
      """, path,
    ]
    try child.run()
    child.waitUntilExit()
    #expect(try watch.next(timeoutNanoseconds: 5 * secondNanoseconds)?.events == [.delete(key: "a", revision: 1)])
  }
}
