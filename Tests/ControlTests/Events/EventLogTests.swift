import Foundation
import Testing

@testable import Control

@Suite struct EventLogTests {
  private func events(_ store: any StateStore) throws -> [Event] {
    try store.listAll(prefix: Keys.events).entries.map { try Stored<Event>($0).object }
  }

  private func store() throws -> SQLiteStore { try SQLiteStore(path: TemporaryDirectory().path + "/state.db") }

  @Test func `what repeats is counted, also by the next process`() throws {
    let store = try store()
    let log = EventLog(store: store, source: "node-1")
    for _ in 0..<3 { log.record(.volume, "db", "ReplicaLost", "node-2 went away", isWarning: true) }
    log.record(.node, "node-2", "Away", "node-2 does not answer")
    log.flush()
    log.record(.volume, "db", "ReplicaLost", "node-3 went away", isWarning: true)
    log.flush()
    let next = EventLog(store: store, source: "node-1")
    next.record(.volume, "db", "ReplicaLost", "node-3 went away", isWarning: true)
    next.flush()
    let other = EventLog(store: store, source: "node-2")
    other.record(.volume, "db", "ReplicaLost", "seen from elsewhere")
    other.flush()
    let found = try events(store)
    #expect(found.map(\.source) == ["node-1", "node-1", "node-2"])
    let lost = try #require(found.first { $0.source == "node-1" && $0.objectKind == .volume })
    #expect(lost.count == 5 && lost.message == "node-3 went away" && lost.isWarning)
    #expect(lost.firstAt <= lost.lastAt)
  }

  @Test func `they are under a lease, and so they end`() throws {
    let store = try store()
    let log = EventLog(store: store, source: "node-1", lifetimeSeconds: 1)
    log.record(.pool, "node-1.disk", "Faulted", "it can only be read")
    log.flush()
    let entry = try #require(try store.listAll(prefix: Keys.events).entries.first)
    #expect(entry.key == "event/node-1/pool/node-1.disk/Faulted" && entry.lease != 0)
    let isGone = try store.wait(prefix: Keys.events, nanoseconds: 10 * secondNanoseconds) { $0.entries.isEmpty ? true : nil }
    #expect(isGone == true)
    // The log does not know that, and goes on.
    log.record(.pool, "node-1.disk", "Faulted", "again")
    log.flush()
    #expect(try events(store).map(\.message) == ["again"])
  }

  @Test func `a lease that was taken away is replaced`() throws {
    let store = try store()
    let log = EventLog(store: store, source: "node-1")
    log.record(.volume, "a", "One", "first")
    log.flush()
    try store.revoke(try #require(try store.listAll(prefix: Keys.events).entries.first).lease)
    log.record(.volume, "a", "Two", "second")
    log.flush(nanoseconds: 5 * secondNanoseconds)
    #expect(try events(store).map(\.reason) == ["Two"])
  }

  @Test func `their number is bounded, and the oldest give way`() throws {
    let store = try store()
    let log = EventLog(store: store, source: "s")
    let total = EventLog.maximumEvents + 100
    for number in 0..<total {
      log.record(.volume, "v\(number)", "Placed", "x")
      if number % 100 == 99 { log.flush(nanoseconds: 20 * secondNanoseconds) }
    }
    log.flush(nanoseconds: 20 * secondNanoseconds)
    let found = try events(store)
    #expect(found.count <= EventLog.maximumEvents)
    #expect(found.contains { $0.object == "v\(total - 1)" })
    #expect(!found.contains { $0.object == "v0" })
  }

  @Test func `keys are fit whatever the object is called, and messages are bounded`() throws {
    let event = Event(
      .volume, "a/b ü", "Bad Reason/x", String(repeating: "ä", count: 5000), isWarning: false, source: "n", firstAt: .now, lastAt: .now)
    try StoreLimits.validate(key: event.key)
    #expect(event.key.split(separator: "/").count == 5)
    #expect(event.message.utf8.count <= Event.maximumMessageBytes)
  }
}
