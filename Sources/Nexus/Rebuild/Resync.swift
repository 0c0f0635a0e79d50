import Pool

/// A replica on its way back into the set, or on its way into it for the first time (R4, R6).
final class Resync {
  enum Stage {
    /// Nothing was asked of it yet.
    case beginning
    /// It becomes as large as the volume, and gets the snapshots that it lacks (R15). It is sent no changes.
    case equipping
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
  var stage = Stage.beginning
  var queue = RegionQueue()
  /// Copied, but not known to be durable at the target.
  var copied: [Int] = []
  var isClearing = false
  var failedSourceMask: UInt8 = 0
  var progress: Rebuild
  /// The snapshot that it was made equal to last, and is equal to but for what it missed since.
  var lastRestored: Identifier?
  var hasRestored = false

  init(index: Int, number: Int, kind: Rebuild.Kind, progress: Rebuild) {
    self.index = index
    self.number = number
    self.kind = kind
    self.progress = progress
  }
}
