@testable import Nexus

/// A state store that answers when the test says so.
final class FakeSurroundings: FormerSurroundings {
  /// The set whose commit is known; shrinks when a commit is answered.
  var knownSet: [String]
  var isKnownDirty: Bool
  private(set) var pending: FormerChange?
  private(set) var commits: [FormerChange] = []
  private(set) var changeCount = 0
  /// Breaches of the contract by the nexus.
  var onViolation: (String) -> Void = { _ in }

  init(set: [String], isDirty: Bool) {
    knownSet = set
    isKnownDirty = isDirty
  }

  func commit(_ change: FormerChange) {
    if pending != nil { onViolation("a second commit before the first was answered") }
    if change.members.isEmpty { onViolation("a commit of an empty set") }
    if change.isClean { onViolation("a commit that says clean while serving") }
    let named = change.members + change.leaving.map(\.replica)
    if named.sorted() != knownSet.sorted() { onViolation("a commit of \(named), but the set is \(knownSet)") }
    commits.append(change)
    pending = change
  }

  func nexusChanged() { changeCount += 1 }

  /// Tells the nexus how its commit ended.
  func answer(_ outcome: FormerOutcome, to nexus: Nexus) {
    guard let change = pending else { return }
    pending = nil
    if outcome == .committed {
      knownSet = change.members
      isKnownDirty = true
    }
    nexus.membershipCommitted(outcome)
  }
}
