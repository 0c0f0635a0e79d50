import Pool
import Reactor

/// Stands before a replica's storage and lets one nexus at a time in (R3, R3b, R11).
///
/// Each nexus comes through a `ReplicaSession`: the local one uses it directly, a remote one is behind the target. A session does
/// nothing before its claim was accepted. A claim is answered only when it is durable, everything that older sessions had in the
/// storage is over, and the lease last granted to another nexus has run out; so what a nexus does after the answer is never
/// mixed with what an older one did before, and no older one answers a read any more.
///
/// One per replica and process run; lives on the storage's reactor. All answers are given later, never from inside a call.
public final class ReplicaGate: EventHandler {
  public static let standardLeaseNanoseconds: UInt64 = 2_000_000_000
  /// Peers whose missed regions a replica keeps.
  public static let maximumPeers = ReplicaClaim.maximumMembers

  /// Errors to be planted where a simulator shall find them. Looked at where claims and leases are decided, and nowhere else.
  public struct PlantedErrors: OptionSet, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    public static let acceptsOldGenerations = PlantedErrors(rawValue: 1)
    public static let answersBeforeSettled = PlantedErrors(rawValue: 2)
    public static let forgetsLeases = PlantedErrors(rawValue: 4)
  }

  public let storage: ReplicaStorage
  public let reactor: Reactor
  /// Another one for every run of the process that holds the replica (R2).
  public let incarnation: Identifier
  public let leaseNanoseconds: UInt64
  public var plantedErrors: PlantedErrors = []
  /// Told the new size when the replica has grown.
  public var sizeChanged: ((UInt64) -> Void)?

  /// The highest claim taken so far. It may be on its way to the storage still.
  public internal(set) var accepted: ReplicaClaim
  /// Who may do I/O.
  var holder: ReplicaSession?
  /// Those that are not over, and those that have something in the storage still.
  var sessions: [ReplicaSession] = []
  var pending: PendingClaim?
  var lease: Lease
  /// Whose missed regions are kept.
  var peers: Set<Identifier>
  var isLeaseTimerSet = false
  var claimCount: UInt64 = 0
  private let bootNanoseconds: () -> UInt64
  private var deferred: [() -> Void] = []
  private var answers: [Answer] = []
  private var isDeferredPosted = false
  private lazy var checksums = ChecksumReaders(reactor: reactor)
  private var closed: (() -> Void)?
  private var isClosing = false

  /// What another nexus may still rely on.
  struct Lease {
    var nexusID: Identifier
    var endNanoseconds: UInt64
  }

  @safe private struct Answer {
    let client: Unmanaged<BlockClient>
    let token: UInt64
    let status: BlockStatus
  }

  private static let deferredToken: UInt64 = 0
  private static let leaseToken: UInt64 = 1

  /// - Parameters:
  ///   - bootNanoseconds: CLOCK_BOOTTIME, or a simulated one.
  public init(
    storage: ReplicaStorage, reactor: Reactor, incarnation: Identifier,
    leaseNanoseconds: UInt64 = ReplicaGate.standardLeaseNanoseconds, bootNanoseconds: @escaping () -> UInt64 = Clock.bootNanoseconds
  ) {
    self.storage = storage
    self.reactor = reactor
    self.incarnation = incarnation
    self.leaseNanoseconds = leaseNanoseconds
    self.bootNanoseconds = bootNanoseconds
    let metadata = storage.metadata
    accepted = metadata.claim
    peers = Set(metadata.missed.map(\.peer))
    // An earlier run may have granted a lease in its last moment, unless the claim was given back.
    lease = Lease(
      nexusID: accepted.nexusID,
      endNanoseconds: accepted.nexusID == .none ? 0 : bootNanoseconds() &+ Self.withMargin(leaseNanoseconds))
    super.init()
    reactor.register(self)
  }

  var now: UInt64 { bootNanoseconds() }

  /// Clocks of two nodes may drift apart by a thousandth at most; ours runs for a thirty-second part longer.
  static func withMargin(_ nanoseconds: UInt64) -> UInt64 { nanoseconds &+ nanoseconds / 32 }

  /// A way in for one nexus, or for one of its connections. Whoever makes it closes it.
  public func makeSession() -> ReplicaSession {
    let session = ReplicaSession(gate: self)
    if isClosing { session.end = .lost } else { sessions.append(session) }
    return session
  }

  /// Requests and questions of all sessions that are not over.
  public var inFlight: Int { sessions.reduce(0) { $0 + $1.inFlight } }

  /// Ends all sessions and tells when nothing of them is in the storage any more; then the storage may be closed.
  public func close(then done: @escaping () -> Void) {
    precondition(!isClosing, "a gate is closed twice")
    isClosing = true
    closed = done
    if let pending {
      self.pending = nil
      later { pending.answer(.failure(.lost)) }
    }
    holder = nil
    for session in sessions { end(session, .lost) }
    sweep()
  }

  // MARK: Ends of sessions

  /// Ends a session: nothing of it begins any more, and its owner is told.
  func end(_ session: ReplicaSession, _ reason: ReplicaRefusal) {
    guard session.end == nil else { return }
    session.end = reason
    unsafe session.isServing = false
    unsafe session.isWatched = true
    if holder === session { holder = nil }
    storage.discardUnstarted(of: session)
    later { [session] in
      let told = session.sessionEnded
      session.sessionEnded = nil
      told?(reason)
    }
  }

  /// The owner of a session lets it go: its connection is gone, or its nexus has stopped.
  func close(_ session: ReplicaSession) {
    session.sessionEnded = nil
    end(session, .lost)
    if let pending, pending.session === session {
      self.pending = nil
      later { pending.answer(.failure(.lost)) }
      // Its claim is stored or will be: the older sessions are over all the same.
      if !pending.isStored { endOlderSessions(than: session) }
    }
    sweep()
  }

  /// A session that somebody waits for has nothing in the storage any more.
  func settled() {
    sweep()
    advanceClaim()
  }

  /// Forgets sessions that are over and done with.
  private func sweep() {
    let over = sessions.filter { $0.end != nil && $0.isSettled }
    if !over.isEmpty {
      sessions.removeAll { $0.end != nil && $0.isSettled }
      // One of them may be in the middle of telling this.
      later { withExtendedLifetime(over) {} }
    }
    guard isClosing, sessions.isEmpty, let closed else { return }
    self.closed = nil
    later { [self] in
      reactor.unregister(self)
      // What was posted to the handler does not come any more.
      isDeferredPosted = false
      if !deferred.isEmpty || !answers.isEmpty { post() }
      closed()
    }
  }

  // MARK: Later

  /// Runs `body` later in this pass or the next.
  func later(_ body: @escaping () -> Void) {
    deferred.append(body)
    post()
  }

  /// Answers a request that was not begun.
  func answerLater(_ client: BlockClient, _ token: UInt64, _ status: BlockStatus) {
    unsafe answers.append(Answer(client: .passUnretained(client), token: token, status: status))
    post()
  }

  private func post() {
    if isDeferredPosted { return }
    isDeferredPosted = true
    if handlerID != .none { return reactor.postpone(handlerID, token: Self.deferredToken, result: 0) }
    // Closed: there is no place in the reactor's table any more.
    let bound = ReactorBound(self)
    reactor.post { _ in bound.value.runDeferred() }
  }

  public override func completed(token: UInt64, result: Int32) {
    if token == Self.leaseToken {
      isLeaseTimerSet = false
      return advanceClaim()
    }
    runDeferred()
  }

  private func runDeferred() {
    isDeferredPosted = false
    let (bodies, due) = (deferred, answers)
    deferred = []
    answers = []
    for answer in due {
      unsafe answer.client._withUnsafeGuaranteedRef { $0.blockRequestCompleted(token: answer.token, status: answer.status) }
    }
    for body in bodies { body() }
  }

  public override func abandoned() {
    sessions = []
    holder = nil
    pending = nil
    deferred = []
    answers = []
    closed = nil
    sizeChanged = nil
  }

  func setLeaseTimer(afterNanoseconds delay: UInt64) {
    if isLeaseTimerSet { return }
    isLeaseTimerSet = true
    reactor.schedule(afterNanoseconds: delay, handlerID, token: Self.leaseToken)
  }

  /// Reads for the session as long as it holds the claim.
  func readBlocks(
    of device: BlockDevice, _ range: Range<UInt64>, wantsData: Bool, for session: ReplicaSession,
    done: @escaping (Result<ReplicaAnswer, ReplicaRefusal>) -> Void
  ) {
    let isWanted = { unsafe session.isServing }
    checksums.read(
      ChecksumReaders.Order(device: device, range: range, wantsData: wantsData, isWanted: isWanted) { [self] result in
        switch result {
        case .success(.checksums(let sums)): done(.success(.checksums(sums)))
        case .success(.data(let bytes)): done(.success(.data(bytes)))
        // Given up, as another nexus claims.
        case .failure(.lost): done(.failure(session.end ?? .claimed(generation: accepted.generation)))
        case .failure(let refusal): done(.failure(refusal))
        }
      })
  }
}
