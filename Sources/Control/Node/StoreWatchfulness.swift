import Pool

/// A node's eye on the state store: whether it is the one that its pools have lived by, and whether it goes back in time (R18).
///
/// Pools remember the store's identity and how far it had come, which is looked at now and then. A store that is another one, or not as far, is
/// doubted: by this node from its start, or from the moment in which the store changed under it. The node says so in that store, so that the
/// controller holds everybody still, even when the store has come past what is remembered since. Used on the agent's queue.
final class StoreWatchfulness {
  /// How far the store has come is asked for and remembered so often, in looks of the agent, one a second.
  static let lookInterval = 30

  private let node: NodeContext
  private let keeper: ReplicaKeeper
  private let identity: PoolIdentifier
  private var isFirst = true
  /// What is remembered, while the store is not known to be the right one; nil while it is.
  private var recollection: StoreRecollection?
  private var said: StoreDoubt?
  /// By this process.
  private var isSaid = false
  /// The highest revision that this process has seen of a store that it took for the right one.
  private var highest: StoreRevision = 0
  private var looks = 0

  init(node: NodeContext, keeper: ReplicaKeeper) {
    self.node = node
    self.keeper = keeper
    guard let identity = PoolIdentifier(node.store.identity) else { preconditionFailure("stores are named by UUIDs") }
    self.identity = identity
  }

  /// Why nothing is to be begun or deleted by what the store says at `revision`; nil if it may be. Throws what the store throws.
  func doubt(at revision: StoreRevision) throws -> String? {
    if isFirst {
      // What an earlier run of this node found out stands, although the store may have come past it meanwhile.
      let earlier = try node.store.object(StoreDoubt.self, at: Keys.storeDoubt(of: node.name))?.object
      recollection = keeper.recollection
      said = earlier?.concernsAll == true ? earlier : nil
      isFirst = false
    } else if recollection == nil, revision < highest {
      // It changed under this process.
      recollection = StoreRecollection(pools: [.init(memory: StoreMemory(identity: identity, revision: highest), claimedRevision: 0)])
    }
    guard let recollection else {
      highest = revision
      return nil
    }
    let trust = try node.store.object(StoreTrust.self, at: Keys.storeTrust)?.object
    // The first word counts: the store's revision grows.
    let found = StoreDoubt(recollection, identity: identity, revision: revision, trust: trust)
    let standing = said.flatMap { $0.isOverruled(by: trust) ? nil : $0 }
    guard let doubt = said == nil ? found : standing else {
      trusted(revision, trust)
      return nil
    }
    if !isSaid || doubt != said { say(doubt) }
    return doubt.message
  }

  private func say(_ doubt: StoreDoubt) {
    (said, isSaid) = (doubt, true)
    node.log.write(doubt.message)
    node.events.record(.node, node.name, doubt.concernsAll ? "StoreBehind" : "StoreForeign", doubt.message, isWarning: true)
    node.publish(doubt, at: Keys.storeDoubt(of: node.name))
  }

  private func trusted(_ revision: StoreRevision, _ trust: StoreTrust?) {
    if said != nil { node.log.write("the state store was confirmed") }
    // Also what an earlier run of this node said.
    node.withdraw(Keys.storeDoubt(of: node.name))
    (said, isSaid) = (nil, false)
    recollection = nil
    highest = revision
    keeper.remember(StoreMemory(identity: identity, revision: revision), instead: trust?.identities ?? [])
  }

  /// Lets the pools remember how far the store has come. To be called every second, and a last time.
  func look(isLast: Bool = false) {
    looks += 1
    guard recollection == nil, !isFirst, isLast || looks % Self.lookInterval == 0 else { return }
    // One that went back is for `doubt` to find.
    guard let revision = try? node.store.list(prefix: Keys.storeTrust, after: nil, limit: 1).revision, revision >= highest else { return }
    highest = revision
    keeper.remember(StoreMemory(identity: identity, revision: revision), instead: [])
  }
}
