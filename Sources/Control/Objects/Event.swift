import Foundation

/// Something that happened to an object and that people may want to know. At `event/<source>/<kind>/<object>/<reason>`, under a lease: it
/// vanishes when it has not happened again for about an hour.
public struct Event: StoredObject {
  public static let kind = "event"
  public static let maximumMessageBytes = 1024
  /// How long one is kept at least.
  public static let lifetimeSeconds = 3600

  public enum ObjectKind: String, Codable, Sendable, CaseIterable {
    case node, pool, volume, replica, snapshot, controller, cluster
  }

  /// What it is about.
  public var objectKind: ObjectKind
  /// Its name; of a pool "NODE.POOL".
  public var object: String
  /// One word in capitals and small letters: "ReplicaLost".
  public var reason: String
  /// A sentence; of the latest, if it happened more than once.
  public var message: String
  /// Somebody may have to do something.
  public var isWarning: Bool
  /// Which process saw it: a node's name, or "controller".
  public var source: String
  public var count: UInt64
  /// Whole seconds.
  public var firstAt: Date
  public var lastAt: Date

  enum CodingKeys: String, CodingKey {
    case objectKind = "kind"
    case object, reason, message
    case isWarning = "warning"
    case source, count, firstAt, lastAt
  }

  public init(
    _ objectKind: ObjectKind, _ object: String, _ reason: String, _ message: String, isWarning: Bool, source: String, count: UInt64 = 1,
    firstAt: Date, lastAt: Date
  ) {
    self.objectKind = objectKind
    self.object = object
    self.reason = reason
    self.message = Self.bounded(message)
    self.isWarning = isWarning
    self.source = source
    self.count = count
    self.firstAt = Date(timeIntervalSince1970: firstAt.timeIntervalSince1970.rounded(.down))
    self.lastAt = Date(timeIntervalSince1970: lastAt.timeIntervalSince1970.rounded(.down))
  }

  /// Where it lies. The same thing happening again has the same key.
  public var key: String {
    Keys.events(source: source) + "\(objectKind.rawValue)/\(Self.keyPart(object))/\(Self.keyPart(reason))"
  }

  private static func bounded(_ text: String) -> String {
    if text.utf8.count <= maximumMessageBytes { return text }
    var bounded = ""
    for character in text {
      if bounded.utf8.count + character.utf8.count > maximumMessageBytes - 3 { break }
      bounded.append(character)
    }
    return bounded + "…"
  }

  /// Names that people gave are fit for keys already; anything else is made fit.
  private static func keyPart(_ text: String) -> String {
    let fit = text.utf8.prefix(128).map { byte -> Character in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
        UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
        Character(Unicode.Scalar(byte))
      default: "-"
      }
    }
    return fit.isEmpty ? "-" : String(fit)
  }
}
