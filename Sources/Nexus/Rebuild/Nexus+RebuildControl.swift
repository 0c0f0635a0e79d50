/// What operators may say about rebuilds.
extension Nexus {
  /// No more regions are copied until `resumeRebuilds`; replicas under resync go on being sent every change.
  public func pauseRebuilds() {
    guard !isRebuildingPaused else { return }
    isRebuildingPaused = true
    for resync in resyncs { resync?.progress.state = .paused }
    unsafe surroundings.nexusChanged()
  }

  public func resumeRebuilds() {
    guard isRebuildingPaused else { return }
    isRebuildingPaused = false
    for resync in resyncs { resync?.progress.state = .running }
    unsafe surroundings.nexusChanged()
    beginReturns()
    scheduleCopies()
  }
}
