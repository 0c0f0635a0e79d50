import Foundation

/// Objects put together from the store's keys, each with its parts as they are stored.
public enum ObjectListing {
  public enum Kind: String, CaseIterable, Sendable {
    case volume, node, pool, replica, snapshot, event
  }

  public struct Object: Equatable, Sendable {
    public struct Part: Equatable, Sendable {
      /// "spec", "status", "assignment", "in_sync", "note".
      public var name: String
      /// JSON.
      public var value: Data
    }

    public var name: String
    public var parts: [Part]
  }

  /// All objects of a kind among the store's entries, by name.
  public static func objects(_ kind: Kind, in entries: [StoreEntry]) -> [Object] {
    var objects: [String: [Object.Part]] = [:]
    func add(_ name: String, _ part: String, _ entry: StoreEntry) {
      objects[name, default: []].append(Object.Part(name: part, value: entry.value))
    }
    let names = kind == .volume ? volumeNames(entries) : [:]
    for entry in entries {
      let parts = entry.key.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
      switch (kind, parts.first, parts.count) {
      case (.volume, "spec", 3) where parts[1] == "volume": add(parts[2], "spec", entry)
      case (.volume, "insync", 2): names[parts[1]].map { add($0, "in_sync", entry) }
      case (.volume, "assign", 4) where parts[2] == "nexus": names[parts[3]].map { add($0, "assignment", entry) }
      case (.volume, "status", 4) where parts[1] == Keys.controllerName && parts[2] == "volume": add(parts[3], "note", entry)
      case (.volume, "status", 4) where parts[2] == "nexus": names[parts[3]].map { add($0, "status", entry) }
      case (.node, "spec", 3) where parts[1] == "node": add(parts[2], "spec", entry)
      case (.node, "status", 4) where parts[1] == Keys.controllerName && parts[2] == "node": add(parts[3], "note", entry)
      case (.node, "status", 3) where parts[2] == "node": add(parts[1], "status", entry)
      case (.pool, "spec", 4) where parts[1] == "pool": add("\(parts[2])/\(parts[3])", "spec", entry)
      case (.pool, "status", 4) where parts[2] == "pool": add("\(parts[1])/\(parts[3])", "status", entry)
      case (.replica, "assign", 4) where parts[2] == "replica": add(parts[3], "assignment", entry)
      case (.replica, "status", 4) where parts[2] == "replica": add(parts[3], "status", entry)
      case (.replica, "status", 4) where parts[2] == "found": add(parts[3], "found", entry)
      case (.snapshot, "spec", 3) where parts[1] == "snapshot": add(parts[2], "spec", entry)
      case (.event, "event", _) where parts.count > 1: add(parts.dropFirst().joined(separator: "/"), "event", entry)
      default: break
      }
    }
    return objects.sorted { $0.key < $1.key }.map { Object(name: $0.key, parts: $0.value) }
  }

  private static func volumeNames(_ entries: [StoreEntry]) -> [String: String] {
    var names: [String: String] = [:]
    for entry in entries where entry.key.hasPrefix(Keys.volumeSpecs) {
      guard let tree = try? JSONForm.decoder().decode(JSONValue.self, from: entry.value), case .string(let id)? = tree["id"] else {
        continue
      }
      names[id.lowercased()] = String(entry.key.dropFirst(Keys.volumeSpecs.count))
    }
    return names
  }
}
