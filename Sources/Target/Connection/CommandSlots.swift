import Reactor

/// A command between its capsule and its response.
@safe struct CommandSlot: BitwiseCopyable {
  enum State: UInt8 {
    /// Waiting for a payload buffer, in the reactor's line.
    case waitingForBuffer
    /// Its data are on the way: in its capsule, or asked for by an R2T.
    case receiving
    /// With the device.
    case executing
    /// Its data or response are queued to send.
    case sending
  }

  var state = State.receiving
  var opcode: UInt8 = 0
  var forceUnitAccess = false
  var isInCapsule = false
  /// A part of its data came with a wrong digest.
  var isCorrupt = false
  /// Which part of its controller's share the buffer is.
  var isBufferForCapsule = false
  var commandIdentifier: UInt16 = 0
  /// The next slot of its chain in `CommandIdentifiers`, or -1.
  var next: Int32 = -1
  /// Bytes that travel between host and controller.
  var transferBytes: UInt32 = 0
  /// Of those to the controller, how many have come.
  var receivedBytes: UInt32 = 0
  /// Where on the namespace, in bytes.
  var offsetBytes: UInt64 = 0
  /// How much of the namespace, in bytes; for dataset management the number of ranges.
  var count: UInt64 = 0
  /// Dataset management: the next range.
  var position: UInt64 = 0
  /// When it was received, on the reactor's clock.
  var receivedAt: UInt64 = 0
  var buffer: UnsafeMutableRawPointer?
}

/// The commands of one queue: as many slots as the queue has entries, so that a host that keeps to its queue always finds one.
typealias CommandSlots = SlotTable<CommandSlot>

extension SlotTable where Element == CommandSlot {
  /// Few to begin with: most queues are idle.
  init(entries: Int) { self.init(capacity: min(entries, 8), limit: entries, empty: CommandSlot()) }

  func reset(entries: Int) { reset(capacity: min(entries, 8), limit: entries) }
}
