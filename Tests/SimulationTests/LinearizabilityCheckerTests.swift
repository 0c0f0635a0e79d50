import Testing

@testable import Simulation

/// Histories that are possible, and such that are not.
@Suite struct LinearizabilityCheckerTests {
  private let history = History()

  private func write(generation: UInt64 = 1) -> Int { history.begin(.write, 0..<1, generation: generation) }
  private func done(_ number: Int) { _ = history.succeed(number) }

  private func read(sees author: Int?, generation: UInt64 = 1) {
    let number = history.begin(.read, 0..<1, generation: generation)
    _ = history.succeed(number, values: [author.map { Stamp.value(operation: $0, sector: 0) } ?? 0])
  }

  private var violation: String? { LinearizabilityChecker(operations: history.operations).violation(sectorCount: 1) }

  @Test func `reads see the latest change`() {
    read(sees: nil)
    let first = write()
    done(first)
    read(sees: first)
    let second = write()
    read(sees: first)
    read(sees: second)
    done(second)
    #expect(violation == nil)
  }

  @Test func `a lost change is found`() {
    done(write())
    read(sees: nil)
    #expect(violation != nil)
  }

  @Test func `a stale read is found`() {
    let first = write()
    done(first)
    let second = write()
    done(second)
    read(sees: first)
    #expect(violation != nil)
  }

  @Test func `what was read once is not unread while its change is under way`() {
    let first = write()
    read(sees: first)
    read(sees: nil)
    done(first)
    #expect(violation != nil)
  }

  @Test func `a change without known outcome happens once or never`() {
    let first = write()
    history.fail(first, mayHaveHappened: true)
    read(sees: nil)
    read(sees: first)
    #expect(violation == nil)
    read(sees: nil)
    #expect(violation != nil)
  }

  @Test func `a change without known outcome does not come after its nexus is over`() {
    let first = write()
    history.fail(first, mayHaveHappened: true)
    let second = write(generation: 2)
    done(second)
    read(sees: second, generation: 2)
    #expect(violation == nil)
    read(sees: first, generation: 2)
    #expect(violation != nil)
  }

  @Test func `a change that was given up never happens`() {
    let first = write()
    history.fail(first, mayHaveHappened: false)
    read(sees: first)
    #expect(violation != nil)
  }

  @Test func `changes under way together take effect in either order`() {
    let (first, second, third) = (write(), write(), write())
    done(second)
    done(first)
    read(sees: first)
    read(sees: third)
    done(third)
    #expect(violation == nil)
    read(sees: second)
    #expect(violation != nil)
  }

  @Test func `zeros are zeros whoever wrote them`() {
    let first = write()
    done(first)
    let zero = history.begin(.zero, 0..<1, generation: 1)
    read(sees: first)
    read(sees: nil)
    done(zero)
    read(sees: nil)
    #expect(violation == nil)
    read(sees: first)
    #expect(violation != nil)
  }

  @Test func `a nexus that answers after a later one is found`() {
    let (old, new) = (write(generation: 1), write(generation: 2))
    #expect(history.succeed(new))
    #expect(!history.succeed(old))
  }
}
