/// What a pool remembers of the state store that its node lives by: a store that is another one, or that went back in time, is known by it (R18).
public struct StoreMemory: Equatable, Sendable {
  /// The store's; `.none` for a pool that has not lived by any.
  public var identity: Identifier
  /// The highest that its node has seen.
  public var revision: UInt64

  public static let none = StoreMemory(identity: .none, revision: 0)

  public init(identity: Identifier, revision: UInt64) {
    self.identity = identity
    self.revision = revision
  }

  /// Whether a volume can be called so, as far as a pool cares: printable ASCII without spaces, at most 255 of it.
  static func isName(_ text: String) -> Bool { text.utf8.count <= 255 && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } }
}
