import Pool

@testable import Nexus

/// A state store that answers when the test says so.
final class FakeSurroundings: NexusSurroundings {
  /// The set whose commit is known; changes when a commit is answered.
  var knownSet: [Identifier]
  private(set) var pending: MembershipChange?
  private(set) var commits: [MembershipChange] = []
  private(set) var changeCount = 0
  private(set) var setVersion: UInt64 = 1
  /// The lease clock, if it is not the machine's.
  var clock: ClockBox?
  /// Breaches of the contract by the nexus.
  var onViolation: (String) -> Void = { _ in }

  final class ClockBox { var now: UInt64 = 1_000_000_000_000 }

  init(set: [Identifier]) { knownSet = set }

  var bootNanoseconds: (() -> UInt64)? {
    guard let clock else { return nil }
    return { clock.now }
  }

  func commit(_ change: MembershipChange) {
    if pending != nil { onViolation("a second commit before the first was answered") }
    if change.members.isEmpty { onViolation("a commit of an empty set") }
    let named = (change.members + change.leaving.map(\.replica)).filter { !change.joining.contains($0) }
    if named.sorted() != knownSet.sorted() { onViolation("a commit of \(named), but the set is \(knownSet)") }
    commits.append(change)
    pending = change
  }

  func nexusChanged() { changeCount += 1 }

  /// Tells the nexus how its commit ended.
  func answer(isFenced: Bool = false, to nexus: Nexus) {
    guard let change = pending else { return }
    pending = nil
    if isFenced { return nexus.membershipCommitted(.fenced) }
    knownSet = change.members
    setVersion += 1
    nexus.membershipCommitted(.committed(setVersion: setVersion, storeRevision: setVersion))
  }
}
