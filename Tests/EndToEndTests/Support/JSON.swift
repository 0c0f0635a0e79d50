import Foundation

/// A JSON document that a command printed. A wrong path gives `.missing`, which equals nothing.
enum JSON: Equatable, Sendable {
  case missing, null
  case bool(Bool)
  case number(Double)
  case string(String)
  case array([JSON])
  case object([String: JSON])

  struct Unreadable: Error, CustomStringConvertible {
    let description: String
  }

  init(_ text: String) throws {
    do {
      self = try JSONDecoder().decode(JSON.self, from: Data(text.utf8))
    } catch {
      throw Unreadable(description: "not JSON (\(error)): \(text.prefix(2000))")
    }
  }

  subscript(_ key: String) -> JSON {
    if case .object(let members) = self { members[key] ?? .missing } else { .missing }
  }

  subscript(_ index: Int) -> JSON {
    let elements = array
    return elements.indices.contains(index) ? elements[index] : .missing
  }

  var array: [JSON] { if case .array(let elements) = self { elements } else { [] } }
  var keys: Set<String> { if case .object(let members) = self { Set(members.keys) } else { [] } }
  var string: String { if case .string(let text) = self { text } else { "" } }
  var double: Double { if case .number(let value) = self { value } else { .nan } }
  /// -1 unless it is a whole number.
  var int: Int { if case .number(let value) = self { Int(exactly: value) ?? -1 } else { -1 } }
}

extension JSON: Decodable {
  private struct Key: CodingKey {
    let stringValue: String
    init?(stringValue: String) { self.stringValue = stringValue }
    var intValue: Int? { nil }
    init?(intValue: Int) { nil }
  }

  init(from decoder: any Decoder) throws {
    if let container = try? decoder.container(keyedBy: Key.self) {
      var members: [String: JSON] = [:]
      for key in container.allKeys { members[key.stringValue] = try container.decode(JSON.self, forKey: key) }
      self = .object(members)
    } else if var container = try? decoder.unkeyedContainer() {
      var elements: [JSON] = []
      while !container.isAtEnd { elements.append(try container.decode(JSON.self)) }
      self = .array(elements)
    } else {
      let container = try decoder.singleValueContainer()
      if container.decodeNil() {
        self = .null
      } else if let value = try? container.decode(Bool.self) {
        self = .bool(value)
      } else if let value = try? container.decode(Double.self) {
        self = .number(value)
      } else {
        self = .string(try container.decode(String.self))
      }
    }
  }
}
