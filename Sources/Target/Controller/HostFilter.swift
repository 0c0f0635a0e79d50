import NVMe

/// A host that may connect.
public struct HostGrant: Equatable, Sendable {
  public let name: QualifiedName
  /// Its write commands are refused, and the namespace tells it that it is write-protected.
  public let isReadOnly: Bool

  public init(name: QualifiedName, isReadOnly: Bool = false) {
    self.name = name
    self.isReadOnly = isReadOnly
  }
}

/// Which hosts may connect. A host's name is what it says it is, not a proof.
public enum HostFilter: Equatable, Sendable {
  case any
  case only([QualifiedName])
  case granted([HostGrant])

  public func allows(_ host: QualifiedName) -> Bool {
    switch self {
    case .any: true
    case .only(let names): names.contains(host)
    case .granted(let grants): grants.contains { $0.name == host }
    }
  }

  /// Whether a host that may connect may only read.
  public func isReadOnly(_ host: QualifiedName) -> Bool {
    guard case .granted(let grants) = self else { return false }
    return grants.first { $0.name == host }?.isReadOnly ?? false
  }
}
