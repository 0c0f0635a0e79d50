extension VolumeRequests {
  /// Asks for another number of replicas, while the volume is served or not. The controller makes new ones and takes away what is too many,
  /// never before enough others are in sync. Throws `Failure`, `ObjectError`, or a store error.
  @discardableResult
  public static func setReplicaCount(name: String, _ count: Int, in store: any StateStore) throws -> VolumeSpec {
    try change(name, in: store) { spec in
      spec.replicaCount = count
      try spec.validate()
    }
  }
}
