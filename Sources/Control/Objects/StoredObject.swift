import Foundation

/// An object that is kept in the state store as JSON: `{"v":1, ...}`. Fields may be added within a version; a reader keeps the ones it does
/// not know. A version it does not know it refuses.
public protocol StoredObject: Codable, Equatable, Sendable {
  /// What messages call it: "volume spec".
  static var kind: String { get }
  static var version: Int { get }
}

extension StoredObject {
  public static var version: Int { 1 }

  /// The bytes of a new object. For one that was read, use `Stored`, which keeps unknown fields.
  public func encoded() -> Data { JSONForm.encode(JSONForm.tree(of: self)) }
}

/// An object as it was read from the store, with what is needed to write it back: the revision to compare, and unknown fields.
public struct Stored<Object: StoredObject>: Sendable, Equatable {
  public var object: Object
  public let key: String
  public let modRevision: StoreRevision
  private let original: Data

  /// Throws `malformed` or `newerVersion`.
  public init(_ entry: StoreEntry) throws(ObjectError) {
    key = entry.key
    modRevision = entry.modRevision
    original = entry.value
    let decoder = JSONForm.decoder()
    let version: Int
    do {
      version = try decoder.decode(VersionedForm.self, from: entry.value).v
    } catch {
      throw .malformed(key: entry.key, kind: Object.kind, reason: "it is not a JSON object with a version \"v\"")
    }
    if version < 1 { throw .malformed(key: entry.key, kind: Object.kind, reason: "its version is \(version)") }
    if version > Object.version {
      throw .newerVersion(key: entry.key, kind: Object.kind, found: version, known: Object.version)
    }
    do {
      object = try decoder.decode(Object.self, from: entry.value)
    } catch {
      throw .malformed(key: entry.key, kind: Object.kind, reason: JSONForm.explain(error))
    }
  }

  /// The bytes to write back: the object as it is now, and the unknown fields it had.
  public func encoded() -> Data {
    let decoder = JSONForm.decoder()
    guard let tree = try? decoder.decode(JSONValue.self, from: original),
      let understood = try? decoder.decode(Object.self, from: original)
    else { preconditionFailure("\(key) was decoded before") }
    return JSONForm.encode(
      JSONForm.tree(of: object).carryingUnknownFields(of: tree, understoodAs: JSONForm.tree(of: understood)))
  }

  /// Holds as long as nobody else changed the object.
  public var isUnchanged: StoreCompare { .modRevision(key: key, equals: modRevision) }

  /// Writes the object back.
  public var replacement: StoreOperation { .put(key: key, value: encoded()) }
}

extension StateStore {
  /// The object at `key`, nil if there is none. Store errors pass through; `ObjectError` if it cannot be read.
  public func object<Object: StoredObject>(_ type: Object.Type, at key: String) throws -> Stored<Object>? {
    try get(key).map { try Stored($0) }
  }
}

/// The one field that every version has.
private struct VersionedForm: Decodable {
  var v: Int
}

enum JSONForm {
  static func decoder() -> JSONDecoder {
    let decoder = JSONDecoder()
    decoder.dateDecodingStrategy = .iso8601
    return decoder
  }

  static func encoder() -> JSONEncoder {
    let encoder = JSONEncoder()
    encoder.dateEncodingStrategy = .iso8601
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return encoder
  }

  static func tree<Object: StoredObject>(of object: Object) -> JSONValue {
    guard let data = try? encoder().encode(object), var tree = try? decoder().decode(JSONValue.self, from: data),
      case .object(var fields) = tree
    else { preconditionFailure("\(Object.kind) does not encode as a JSON object") }
    fields["v"] = .integer(Int64(Object.version))
    tree = .object(fields)
    return tree
  }

  static func encode(_ tree: JSONValue) -> Data {
    guard let data = try? encoder().encode(tree) else { preconditionFailure("a JSON tree does not encode") }
    return data
  }

  static func explain(_ error: any Error) -> String {
    func path(_ context: DecodingError.Context, _ last: (any CodingKey)? = nil) -> String {
      let keys = context.codingPath + (last.map { [$0] } ?? [])
      return keys.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
    }
    return switch error {
    case DecodingError.keyNotFound(let key, let context): "field \(path(context, key)) is missing"
    case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context), DecodingError.dataCorrupted(let context):
      "field \(path(context)): \(context.debugDescription)"
    default: "it cannot be decoded"
    }
  }
}
