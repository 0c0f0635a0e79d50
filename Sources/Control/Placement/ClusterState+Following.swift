extension ClusterState {
  /// Applies a watch's batch, for those who keep a copy of the store without deciding anything.
  public mutating func follow(_ batch: StoreWatchBatch) { apply(batch) }
}
