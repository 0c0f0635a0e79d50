/// For status and logs.
extension ReplicaRefusal: CustomStringConvertible {
  public var description: String {
    switch self {
    case .claimed(let generation): "another nexus holds the replica, with generation \(generation)"
    case .rolledBack(0): "its data are gone: it was never claimed"
    case .rolledBack(let generation): "it is an old copy, of generation \(generation)"
    case .unclaimed: "the replica is not claimed"
    case .lost: "the connection was lost"
    case .busy: "the replica is busy"
    case .noSpace: "there is no space"
    case .faulted(let text), .invalid(let text): text
    }
  }
}
