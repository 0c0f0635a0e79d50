/// Gives ids to controllers in turn, so that one is not used again soon: a host's late command for a controller that went must not
/// meet another host's.
struct ControllerIdentifierAllocator {
  let range: ClosedRange<UInt16>
  private var next: UInt16

  init(range: ClosedRange<UInt16>) {
    self.range = range
    next = range.lowerBound
  }

  /// The next id that is not in use; nil when all are. Looks at no more ids than are in use and one.
  mutating func allocate(isInUse: (UInt16) -> Bool) -> UInt16? {
    for _ in range {
      let candidate = next
      next = candidate == range.upperBound ? range.lowerBound : candidate + 1
      if !isInUse(candidate) { return candidate }
    }
    return nil
  }
}
