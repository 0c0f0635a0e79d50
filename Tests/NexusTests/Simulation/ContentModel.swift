/// What each 512-byte block of the volume may hold now, as far as clients can tell.
///
/// Overlapping commands take effect in the order of submission and one after the other (R9), so a block has one value unless a
/// change ended without success: then it has the old or the new one, until a read settles which. Long zeroing commands take
/// turns with others: until such a command ends, each of its blocks may become zero at any time.
struct ContentModel {
  private var values: [[UInt64]]
  /// Long commands under way per block.
  private var floating: [Int]

  init(blockCount: Int) {
    values = Array(repeating: [0], count: blockCount)
    floating = Array(repeating: 0, count: blockCount)
  }

  mutating func begin(_ command: SimulatedCommand) {
    guard command.isChange, !command.isOrdered else { return }
    for block in command.blocks {
      floating[block] += 1
      add(0, to: block)
    }
  }

  private mutating func add(_ value: UInt64, to block: Int) {
    if !values[block].contains(value) { values[block].append(value) }
  }

  private mutating func set(_ value: UInt64, _ block: Int) {
    values[block].removeAll(keepingCapacity: true)
    values[block].append(value)
    if floating[block] > 0 { add(0, to: block) }
  }

  /// A change ended; `mayHaveHappened` for one without success that was not refused outright.
  mutating func end(_ command: SimulatedCommand, isSuccess: Bool, mayHaveHappened: Bool) {
    for block in command.blocks {
      if !command.isOrdered { floating[block] -= 1 }
      if isSuccess, !command.overtaken.contains(block) {
        set(command.value(block: block), block)
      } else if isSuccess || mayHaveHappened {
        add(command.value(block: block), to: block)
      }
    }
  }

  /// A client, or the test at the end, saw `value`. Returns whether that can be.
  mutating func observe(_ value: UInt64?, block: Int) -> Bool {
    guard let value, values[block].contains(value) else { return false }
    if values[block].count > 1 { set(value, block) }
    return true
  }

  /// Whether a long command over the block is under way.
  func mayBecomeZero(block: Int) -> Bool { floating[block] > 0 }

  func describe(block: Int) -> String { values[block].map(Stamp.describe).joined(separator: " or ") }
}
