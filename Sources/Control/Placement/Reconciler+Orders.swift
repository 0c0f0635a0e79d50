/// What the specification of a volume says that its nexus has to know goes into the nexus's assignment.
extension Reconciler {
  static func carryOrders(_ volume: Stored<VolumeSpec>, _ state: ClusterState) -> Step? {
    let orders = VolumeOrders(volume.object)
    let wanted = orders.isEmpty ? nil : orders
    let assignments = state.nexusAssignments(of: volume.object.id)
    var minInSync = volume.object.effectiveMinInSync
    // More are asked for only when they are there: else the volume would stop.
    if let current = assignments.first?.object.minInSync, minInSync > current,
      state.inSync(volume.object.id)?.object.members.count ?? 0 < minInSync
    {
      minInSync = current
    }
    guard let stale = assignments.first(where: { !$0.object.deleting && ($0.object.orders != wanted || $0.object.minInSync != minInSync) })
    else { return nil }
    var stored = stale.stored
    stored.object.orders = wanted
    // Said in numbers: the assignment's replicas may be more than were asked for, while one takes the place of another.
    stored.object.minInSync = minInSync
    return Step(
      transaction: StoreTransaction(compares: [volume.isUnchanged, stale.stored.isUnchanged], operations: [stored.replacement]),
      reason: "volume \(volume.object.name): its nexus is told what the specification says")
  }
}
