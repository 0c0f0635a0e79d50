import Glibc
import Reactor

/// Making the members equal where a change failed for lack of space on one that must not leave (R1, R16).
///
/// The range stays locked. What the member without space holds there goes to the others, chunk by chunk: they have room, as
/// they hold the range already or give it back. Then the host is told that there is no space. If that fails too, nothing is
/// served any more: the members must not be read while they differ.
extension Nexus {
  func level(_ slot: Int) {
    slots[slot].sourceMask = slots[slot].failedMask & activeMask
    // One source, the lowest.
    slots[slot].sourceMask &= ~slots[slot].sourceMask &+ 1
    slots[slot].position = slots[slot].start
    slots[slot].phase = .levellingRead
    releaseBounce(slot)
    awaitBuffer(slot)
  }

  /// Small, as payload memory may be short just then.
  private static var levellingChunkBytes: UInt64 { 32 << 10 }

  /// Bytes of the chunk under way.
  static func levellingBytes(_ slot: NexusSlot) -> UInt64 { min(levellingChunkBytes, slot.end - slot.position) }

  /// The chunk of the source is in the buffer.
  func writeLevel(_ slot: Int) {
    if activeMask == 0 { return awaitService(slot) }
    guard let bounce = unsafe slots[slot].bounce else { preconditionFailure("levelling has a buffer") }
    let byteCount = Int(Self.levellingBytes(slots[slot]))
    let isZero = unsafe (bounce.load(as: UInt64.self) == 0 && memcmp(bounce, bounce + 8, byteCount - 8) == 0)
    // A hole stays a hole: it takes no space.
    slots[slot].phase = isZero ? .levellingHole : .levellingWrite
    let others = (activeMask | syncMask) & ~slots[slot].sourceMask
    // Nobody is left to differ.
    if others == 0 { finish(slot, .capacityExceeded) } else { fanOut(slot, to: others) }
  }

  /// The others have answered for the chunk.
  func levelSettled(_ slot: Int) {
    if activeMask != 0, slots[slot].failedMask & setMask != 0 {
      block("the in-sync replicas could not be made equal after one ran out of space")
    }
    if activeMask == 0 { return awaitService(slot) }
    slots[slot].position += Self.levellingBytes(slots[slot])
    if slots[slot].position == slots[slot].end {
      finish(slot, .capacityExceeded)
    } else {
      readLevel(slot)
    }
  }

  func readLevel(_ slot: Int) {
    slots[slot].phase = .levellingRead
    slots[slot].triedMask = ~slots[slot].sourceMask
    readFromNext(slot)
  }

  /// The source could not be read.
  func levelFailed(_ slot: Int) {
    if activeMask != 0 { block("an in-sync replica that ran out of space could not be read") }
    awaitService(slot)
  }
}
