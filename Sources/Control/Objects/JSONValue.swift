import Foundation

/// Any JSON, kept exactly as far as numbers allow; used to carry fields that this version does not know.
enum JSONValue: Equatable, Sendable, Codable {
  case null
  case bool(Bool)
  case integer(Int64)
  case unsigned(UInt64)
  case double(Double)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let value = try? container.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? container.decode(Int64.self) {
      self = .integer(value)
    } else if let value = try? container.decode(UInt64.self) {
      self = .unsigned(value)
    } else if let value = try? container.decode(Double.self) {
      self = .double(value)
    } else if let value = try? container.decode(String.self) {
      self = .string(value)
    } else if let value = try? container.decode([JSONValue].self) {
      self = .array(value)
    } else {
      self = .object(try container.decode([String: JSONValue].self))
    }
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .null: try container.encodeNil()
    case .bool(let value): try container.encode(value)
    case .integer(let value): try container.encode(value)
    case .unsigned(let value): try container.encode(value)
    case .double(let value): try container.encode(value)
    case .string(let value): try container.encode(value)
    case .array(let value): try container.encode(value)
    case .object(let value): try container.encode(value)
    }
  }

  subscript(field: String) -> JSONValue? {
    if case .object(let fields) = self { fields[field] } else { nil }
  }

  /// This value, with those fields of `stored` that were unknown to whoever read `stored` as `understood`. Objects are merged field by
  /// field, elements of arrays by their "id".
  func carryingUnknownFields(of stored: JSONValue, understoodAs understood: JSONValue) -> JSONValue {
    switch (self, stored, understood) {
    case (.object(var result), .object(let stored), .object(let understood)):
      for field in stored.keys.sorted() {
        guard let old = stored[field] else { continue }
        if let meaning = understood[field] {
          if let new = result[field] { result[field] = new.carryingUnknownFields(of: old, understoodAs: meaning) }
        } else if result[field] == nil {
          result[field] = old
        }
      }
      return .object(result)
    case (.array(let elements), .array(let stored), .array(let understood)):
      return .array(
        elements.map { element in
          guard let id = element["id"], let meaning = understood.first(where: { $0["id"] == id }),
            let old = stored.first(where: { $0["id"]?.matches(id) ?? false })
          else { return element }
          return element.carryingUnknownFields(of: old, understoodAs: meaning)
        })
    default: return self
    }
  }

  /// Equal, or the same identifier in another case.
  private func matches(_ other: JSONValue) -> Bool {
    if case .string(let first) = self, case .string(let second) = other { return first.lowercased() == second.lowercased() }
    return self == other
  }
}
