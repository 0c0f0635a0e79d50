import Foundation

/// What people ask of volumes that are there.
extension VolumeRequests {
  /// Changes a specification as if nobody else did at the same time, and returns it. `change` may throw; nothing is written then, nor where
  /// it changes nothing. Throws `Failure.notFound`, `Failure.contended`, `ObjectError.invalid` or a store error.
  @discardableResult
  public static func change(
    name: String, in store: any StateStore, _ change: (inout VolumeSpec) throws -> Void
  ) throws -> VolumeSpec {
    try Names.validate(name, kind: "volume name")
    for _ in 0..<100 {
      guard var stored = try store.object(VolumeSpec.self, at: Keys.volumeSpec(name: name)), !stored.object.deleting else {
        throw Failure.notFound(name: name)
      }
      let old = stored.object
      try change(&stored.object)
      if stored.object == old { return old }
      try stored.object.validate()
      let transaction = StoreTransaction(compares: [stored.isUnchanged], operations: [stored.replacement])
      if try store.transact(transaction).committedRevision != nil { return stored.object }
    }
    throw Failure.contended(name: name)
  }

  /// Changes how its replicas are made equal.
  public static func setRebuilds(
    of name: String, in store: any StateStore, _ body: (inout RebuildPolicy) -> Void
  ) throws {
    try change(name: name, in: store) { spec in
      var policy = spec.rebuild ?? RebuildPolicy()
      body(&policy)
      spec.rebuild = policy == RebuildPolicy() ? nil : policy
    }
  }

  /// Asks for a scrub, and returns the request. One that is under way goes on, unless another replica is to be trusted.
  public static func scrub(
    name: String, trusting trusted: ReplicaID?, isUnderWay: (UUID) -> Bool, in store: any StateStore
  ) throws -> ScrubRequest {
    let request = ScrubRequest(requestedAt: .now, trusted: trusted)
    let spec = try change(name: name, in: store) { spec in
      if let old = spec.scrub, !old.isStopped, old.trusted == trusted, isUnderWay(old.id) { return }
      spec.scrub = request
    }
    return spec.scrub ?? request
  }

  /// Asks for the end of the scrub that was asked for last; nil if there was none.
  public static func stopScrub(name: String, in store: any StateStore) throws -> ScrubRequest? {
    try change(name: name, in: store) { $0.scrub?.isStopped = true }.scrub
  }
}
