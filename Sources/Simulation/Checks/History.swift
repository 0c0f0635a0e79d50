/// Everything the hosts did and saw, in order.
final class History {
  enum Kind {
    case read, write, zero, flush
  }

  enum Outcome {
    case pending
    case done
    /// It may have happened, or happen still, until `end`.
    case unknown
    /// It has had no effect and never will.
    case never
  }

  struct Operation {
    let number: Int
    let kind: Kind
    let sectors: Range<Int>
    let generation: UInt64
    let begin: Int
    /// When it ended, or can have no effect any more; nil while that is open.
    var end: Int?
    var outcome = Outcome.pending
    /// What a read saw, by sector.
    var values: [UInt64] = []

    /// What a change leaves in a sector.
    func value(sector: Int) -> UInt64 { kind == .write ? Stamp.value(operation: number, sector: sector) : 0 }
  }

  private(set) var operations: [Operation] = []
  private var tick = 0
  /// The highest generation that has done anything for a host.
  private(set) var servingGeneration: UInt64 = 0
  private var unknown: [Int] = []

  private func nextTick() -> Int {
    tick += 1
    return tick
  }

  /// A place in the order.
  func moment() -> Int { nextTick() }

  /// What the whole volume was at one moment between two, as a snapshot tells.
  func saw(_ values: [UInt64], generation: UInt64, between moments: ClosedRange<Int>) {
    operations.append(
      Operation(
        number: operations.count, kind: .read, sectors: 0..<values.count, generation: generation, begin: moments.lowerBound,
        end: moments.upperBound, outcome: .done, values: values))
  }

  func begin(_ kind: Kind, _ sectors: Range<Int>, generation: UInt64) -> Int {
    operations.append(
      Operation(number: operations.count, kind: kind, sectors: sectors, generation: generation, begin: nextTick()))
    return operations.count - 1
  }

  /// A host was told of success. Returns false when a newer nexus has served before: two at a time (R3, R3b).
  func succeed(_ number: Int, values: [UInt64] = []) -> Bool {
    let generation = operations[number].generation
    if generation > servingGeneration {
      servingGeneration = generation
      // The claims of this nexus have settled all that older ones had under way.
      let now = nextTick()
      for other in unknown where operations[other].generation < generation { operations[other].end = now }
      unknown.removeAll { operations[$0].generation < generation }
    }
    operations[number].outcome = .done
    operations[number].values = values
    operations[number].end = nextTick()
    return generation >= servingGeneration
  }

  /// It ended without success, or nobody knows how.
  func fail(_ number: Int, mayHaveHappened: Bool) {
    operations[number].outcome = mayHaveHappened ? .unknown : .never
    if mayHaveHappened, operations[number].generation < servingGeneration {
      operations[number].end = nextTick()
    } else if mayHaveHappened {
      unknown.append(number)
    }
  }

  /// A command of a host that went away has ended; it has no effect from now on.
  func settle(_ number: Int, mayHaveHappened: Bool) {
    operations[number].outcome = mayHaveHappened ? .unknown : .never
    if mayHaveHappened { operations[number].end = nextTick() }
  }
}
