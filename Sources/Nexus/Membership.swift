/// One copy of the volume as its nexus sees it.
public struct FormerMember: Equatable, Sendable {
  public enum State: Equatable, Sendable {
    /// Holds every acknowledged write.
    case inSync
    /// Failed; its removal from the in-sync set is being committed (R2).
    case leaving(reason: String)
    /// Not in the set: gets no writes, serves no reads.
    case out(reason: String)
  }

  public let replica: String
  public var state: State

  public init(replica: String, state: State) {
    self.replica = replica
    self.state = state
  }
}

/// What a nexus asks to have committed in the state store, by compare-and-swap of generation and set version (R2).
public struct FormerChange: Equatable, Sendable {
  /// Replicas in the set after the change.
  public var members: [String]
  /// Replicas that leave with it, and why.
  public var leaving: [(replica: String, reason: String)]
  /// False from before the first write until a clean stop: whether the members may differ after a crash.
  public var isClean: Bool

  public init(members: [String], leaving: [(replica: String, reason: String)], isClean: Bool) {
    self.members = members
    self.leaving = leaving
    self.isClean = isClean
  }

  public static func == (left: Self, right: Self) -> Bool {
    left.members == right.members && left.isClean == right.isClean && left.leaving.elementsEqual(right.leaving) { $0 == $1 }
  }
}

/// How a commit ended, once that is known.
public enum FormerOutcome: Equatable, Sendable {
  case committed
  /// Another nexus has taken over, or this one is no longer assigned: it must stop.
  case fenced
}

/// What a nexus needs from its surroundings besides replicas. Called on the nexus's reactor.
public protocol FormerSurroundings: AnyObject {
  /// Commits a change and answers with `Nexus.membershipCommitted` once the outcome is *known*; tries until then. One change at
  /// a time, and never answered from inside this call.
  func commit(_ change: FormerChange)
  /// A member left or the nexus stopped serving; for status and logs.
  func nexusChanged()
}
