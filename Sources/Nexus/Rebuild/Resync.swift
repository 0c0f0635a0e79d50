/// A replica on its way back into the set, or on its way into it for the first time (R4, R6).
final class Resync {
  enum Stage {
    /// What is to be done is found out; the replica begins to be sent every change.
    case preparing
    case copying
    /// Equal; what a member must hold is stored on it.
    case finishing
  }

  let index: Int
  /// Counts the resyncs of this nexus.
  let number: Int
  let kind: Rebuild.Kind
  var stage = Stage.preparing
  var queue = RegionQueue()
  /// Copied, but not known to be durable at the target.
  var copied: [Int] = []
  var isClearing = false
  var failedSourceMask: UInt8 = 0
  var progress: Rebuild

  init(index: Int, number: Int, kind: Rebuild.Kind, progress: Rebuild) {
    self.index = index
    self.number = number
    self.kind = kind
    self.progress = progress
  }
}
