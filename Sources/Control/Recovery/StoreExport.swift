import Foundation

/// All that a store holds of Keelson, as a JSON document for people and programs. There are no secrets in the store: what would be one is a
/// reference. Values are kept as they are, fields of later versions included.
public enum StoreExport {
  public static let version = 1
  public static let maximumBytes = 1 << 30

  public enum Failure: Error, Equatable, Sendable, CustomStringConvertible {
    case notAnExport(reason: String)
    case storeNotEmpty(count: Int)
    case contended

    public var description: String {
      switch self {
      case .notAnExport(let reason): "it is no export of Keelson: \(reason)"
      case .storeNotEmpty(let count): "the store has \(count) entries already"
      case .contended: "somebody else writes to the store meanwhile"
      }
    }
  }

  private struct Document: Codable {
    struct Entry: Codable {
      var key: String
      var value: JSONValue
    }
    var keelsonExport: Int
    var identity: String
    var revision: UInt64
    var entries: [Entry]
  }

  /// Leases, events and what ends with a process are left out: they mean nothing elsewhere.
  private static func isKept(_ entry: StoreEntry) -> Bool {
    entry.lease == 0 && !entry.key.hasPrefix(Keys.events) && !entry.key.hasPrefix("lease/")
  }

  /// The whole store at about one revision. Throws a store error, or `notAnExport` for a value that is not JSON.
  public static func document(of store: any StateStore) throws -> Data {
    let page = try store.listAll(prefix: "")
    let entries = try page.entries.filter(isKept).map { entry -> Document.Entry in
      guard let value = try? JSONForm.decoder().decode(JSONValue.self, from: entry.value) else {
        throw Failure.notAnExport(reason: "the value of \(entry.key) is not JSON")
      }
      return Document.Entry(key: entry.key, value: value)
    }
    let encoder = JSONForm.encoder()
    encoder.outputFormatting.insert(.prettyPrinted)
    return try encoder.encode(
      Document(keelsonExport: version, identity: store.identity, revision: page.revision, entries: entries))
  }

  /// Names of volumes in a document.
  public static func volumeNames(in data: Data) throws -> [VolumeID: String] {
    var names: [VolumeID: String] = [:]
    for entry in try read(data).entries where entry.key.hasPrefix(Keys.volumeSpecs) {
      if case .string(let text)? = entry.value["id"], let id = VolumeID(text) {
        names[id] = String(entry.key.dropFirst(Keys.volumeSpecs.count))
      }
    }
    return names
  }

  /// Writes a document into a store, at most `StoreLimits.maximumOperations` in a transaction. What is there is replaced where the document has
  /// it, and left alone elsewhere; `mayReplace` says whether there may be anything. Statuses are left out: nodes say themselves how they are.
  /// Returns how many entries were written.
  ///
  /// An imported store may be old: nodes do not serve by it before the operator has confirmed that, if their pools remember more (R18).
  @discardableResult
  public static func write(_ data: Data, to store: any StateStore, mayReplace: Bool) throws -> Int {
    let document = try read(data)
    let present = try store.listAll(prefix: "").entries.filter(isKept)
    if !present.isEmpty, !mayReplace { throw Failure.storeNotEmpty(count: present.count) }
    let entries = document.entries.filter { !$0.key.hasPrefix(Keys.statuses) }
    let operations = entries.map { StoreOperation.put(key: $0.key, value: JSONForm.encode($0.value)) }
    for batch in StoreLimits.batches(operations) { _ = try store.transact(StoreTransaction(operations: batch)) }
    return entries.count
  }

  private static func read(_ data: Data) throws -> Document {
    if data.count > maximumBytes { throw Failure.notAnExport(reason: "it has more than 1 GiB") }
    guard let document = try? JSONForm.decoder().decode(Document.self, from: data) else {
      throw Failure.notAnExport(reason: "it is not a JSON document with \"keelsonExport\", \"identity\", \"revision\" and \"entries\"")
    }
    if document.keelsonExport != version {
      throw Failure.notAnExport(reason: "its version is \(document.keelsonExport), this program knows \(version)")
    }
    var keys: Set<String> = []
    for entry in document.entries {
      do throws(StoreError) { try StoreLimits.validate(key: entry.key) } catch { throw Failure.notAnExport(reason: error.description) }
      guard ["spec", "assign", "status", "insync"].contains(entry.key.prefix { $0 != "/" }) else {
        throw Failure.notAnExport(reason: "\(entry.key.prefix(80)) is no key of Keelson's")
      }
      guard keys.insert(entry.key).inserted else { throw Failure.notAnExport(reason: "\(entry.key) is in it twice") }
      guard case .integer? = entry.value["v"] else { throw Failure.notAnExport(reason: "\(entry.key) has no version") }
    }
    return document
  }
}
