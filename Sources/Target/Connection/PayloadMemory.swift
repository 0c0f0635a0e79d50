import Reactor

/// The payload memory that the commands of one controller hold, in bytes. Shared by its connections.
final class MemoryShare {
  /// For data that travel on their own: data read, and data asked for by R2T. The host has to help to free it.
  var transferBytes = 0
  /// For data that came in capsules; these commands end without the host.
  var capsuleBytes = 0
}

/// One arena of a reactor as its connections use it: who may hold how much, and who waits.
///
/// Data in capsules are on the wire already, and what waits for memory for them holds up its whole connection, the data of
/// earlier R2Ts included. So an eighth of the arena is theirs alone, and they are served sooner or later whatever hosts do.
/// No controller holds more than half for either kind: one whose host does not fetch its data leaves memory for others.
final class PayloadMemory: EventHandler {
  private let reactor: Reactor
  /// The arena for nexuses' commands to replicas (R14).
  private let isForReplicas: Bool
  private let shareLimit: Int
  private let reserveBytes: Int
  private let transferLimit: Int
  private let transfers = MemoryLine()
  private let capsules = MemoryLine()
  private var isServing = false

  init(reactor: Reactor, isForReplicas: Bool) {
    self.reactor = reactor
    self.isForReplicas = isForReplicas
    let arenaBytes = isForReplicas ? reactor.replicaArena.byteCount : reactor.arena.byteCount
    shareLimit = arenaBytes / 2
    reserveBytes = arenaBytes / 8
    transferLimit = arenaBytes - reserveBytes
    super.init()
    reactor.register(self)
  }

  private var isShort: Bool { !transfers.isEmpty || !capsules.isEmpty }

  /// Whether others wait for memory such as `share` holds.
  func isShort(forOthersThan share: MemoryShare) -> Bool { transfers.isExhausted(forOthersThan: share) }

  private var usedBytes: Int { isForReplicas ? reactor.replicaArena.usedBytes : reactor.arena.usedBytes }

  /// Memory for data of a command that travel on their own. Nil puts the command in line; `Connection.startWithBuffer` follows.
  func takeForTransfer(_ byteCount: Int, _ connection: Connection, slot: Int) -> UnsafeMutableRawPointer? {
    let share = connection.share
    let bufferBytes = BufferArena.bufferBytes(for: byteCount)
    let isOverShare = share.transferBytes > 0 && share.transferBytes + bufferBytes > shareLimit
    if transfers.isOpen, !isOverShare, usedBytes + bufferBytes <= transferLimit,
      let buffer = unsafe allocate(byteCount)
    {
      share.transferBytes += bufferBytes
      transfers.taken()
      return unsafe buffer
    }
    transfers.join(MemoryLine.Waiter(connection: connection, slot: slot), isOverShare: isOverShare)
    lineUp()
    return nil
  }

  /// Memory for data of a capsule. Nil puts the connection in line: it stops parsing, and `resumeReceiving` follows.
  func takeForCapsule(_ byteCount: Int, _ connection: Connection) -> UnsafeMutableRawPointer? {
    let share = connection.share
    let bufferBytes = BufferArena.bufferBytes(for: byteCount)
    let limit = usedBytes + bufferBytes <= transferLimit ? shareLimit : reserveBytes / 2
    let isOverShare = share.capsuleBytes > 0 && share.capsuleBytes + bufferBytes > limit
    if capsules.isOpen, !isOverShare, let buffer = unsafe allocate(byteCount) {
      share.capsuleBytes += bufferBytes
      capsules.taken()
      return unsafe buffer
    }
    capsules.join(MemoryLine.Waiter(connection: connection, slot: nil), isOverShare: isOverShare)
    lineUp()
    return nil
  }

  private func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer? {
    unsafe isForReplicas ? reactor.replicaArena.allocate(byteCount: byteCount) : reactor.arena.allocate(byteCount: byteCount)
  }

  /// Gives memory back. Nothing may refer to it any more (R11).
  func release(_ buffer: UnsafeMutableRawPointer, of share: MemoryShare, isForCapsule: Bool) {
    let before = usedBytes
    if isForReplicas { unsafe reactor.replicaArena.release(buffer) } else { unsafe reactor.arena.release(buffer) }
    let byteCount = before - usedBytes
    if isForCapsule { share.capsuleBytes -= byteCount } else { share.transferBytes -= byteCount }
    if isShort { reactor.requestFlush(self) }
  }

  /// A newcomer may be of a controller that others need not wait for: look at the lines again, unless that is going on.
  private func lineUp() { if !isServing { reactor.requestFlush(self) } }

  /// Serves those who wait, as far as there is memory.
  override func flush() {
    isServing = true
    capsules.serve()
    transfers.serve()
    isServing = false
  }
}
