/// One direction of a connection: what is sent arrives in order, later, or never.
final class Pipe {
  struct Message {
    var dueNanoseconds: UInt64
    let deliver: () -> Void
    /// Lets go of what the message holds when it will never arrive.
    let drop: () -> Void
  }

  private let world: World
  private let network: Network
  let from: Int
  let to: Int
  private var queue: [Message] = []
  private var lastDue: UInt64 = 0
  /// Nothing more is taken in.
  private(set) var isClosed = false

  init(world: World, network: Network, from: Int, to: Int) {
    self.world = world
    self.network = network
    self.from = from
    self.to = to
  }

  func send(_ deliver: @escaping () -> Void, drop: @escaping () -> Void = {}) {
    if isClosed { return drop() }
    append(deliver, drop)
  }

  private func append(_ deliver: @escaping () -> Void, _ drop: @escaping () -> Void) {
    let due = max(lastDue, world.now + world.generator.within(network.delayNanoseconds))
    lastDue = due
    queue.append(Message(dueNanoseconds: due, deliver: deliver, drop: drop))
    world.after(due - world.now) { [self] in pump() }
  }

  /// Delivers what is due, unless the way is blocked.
  func pump() {
    while let first = queue.first, first.dueNanoseconds <= world.now, network.isOpen(from: from, to: to) {
      queue.removeFirst()
      world.note(.network, from, to) { "\(from) → \(to)" }
      first.deliver()
    }
  }

  /// The sender ends: some of what it sent still arrives, in order, and then `end` if the way is open; nothing after that.
  func close(end: (() -> Void)?) {
    if isClosed { return }
    isClosed = true
    let kept = world.generator.below(queue.count + 1)
    let dropped = queue[kept...]
    queue.removeSubrange(kept...)
    for message in dropped { message.drop() }
    if let end { append(end, {}) }
  }

  /// The receiver ends: nothing arrives any more.
  func discard() {
    isClosed = true
    let dropped = queue
    queue = []
    for message in dropped { message.drop() }
  }
}
