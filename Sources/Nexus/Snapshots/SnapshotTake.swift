import Pool

/// A snapshot being taken (R15).
final class SnapshotTake {
  enum Stage: Equatable {
    /// The store is told.
    case recording
    /// Everything is flushed once while changes go on, so that the pause is short.
    case flushing
    /// New changes wait; those under way end.
    case draining
    /// All is durable that was acknowledged before.
    case settling
    case taking
    /// All members have it, and changes go on; the store is told.
    case concluding
  }

  let id: Identifier
  let request: Identifier
  let done: (Result<VolumeSnapshot, SnapshotFailure>) -> Void
  var stage = Stage.recording
  /// On the reactor's clock: when it was asked for, and when changes began to wait.
  let beganNanoseconds: UInt64
  var pauseBeganNanoseconds: UInt64 = 0
  /// Members that have it.
  var tookMask: UInt8 = 0

  init(
    id: Identifier, request: Identifier, beganNanoseconds: UInt64, done: @escaping (Result<VolumeSnapshot, SnapshotFailure>) -> Void
  ) {
    self.id = id
    self.request = request
    self.beganNanoseconds = beganNanoseconds
    self.done = done
  }

  /// From here on no replica may begin to be sent changes: what it gets would be later than the snapshot, which it lacks.
  var keepsReplicasOut: Bool { stage != .recording && stage != .flushing }
}

/// The volume on its way to another size (R15).
final class Growth {
  enum Stage: Equatable {
    case waiting
    /// Members become larger.
    case asking
    /// The store is told.
    case committing
  }

  let sizeBytes: UInt64
  let done: (Result<Bool, SnapshotFailure>) -> Void
  var stage = Stage.waiting
  let beganNanoseconds: UInt64

  init(sizeBytes: UInt64, beganNanoseconds: UInt64, done: @escaping (Result<Bool, SnapshotFailure>) -> Void) {
    self.sizeBytes = sizeBytes
    self.beganNanoseconds = beganNanoseconds
    self.done = done
  }
}
