import NVMe

/// Which hosts may connect. A host's name is what it says it is, not a proof.
public enum HostFilter: Equatable, Sendable {
  case any
  case only([QualifiedName])

  public func allows(_ host: QualifiedName) -> Bool {
    switch self {
    case .any: true
    case .only(let names): names.contains(host)
    }
  }
}
