import Reactor

/// Requests that found no free slot, first come first served; bounded. Takes memory on first use only.
@safe struct WaitingQueue: ~Copyable {
  @safe struct Entry {
    let request: BlockRequest
    /// Which device of several that share the queue.
    var device: Int32 = 0
    let client: Unmanaged<BlockClient>
  }

  static let capacity = 4096

  private var ring: UnsafeMutablePointer<Entry>?
  private var head = 0
  private(set) var count = 0

  init() { unsafe ring = nil }

  deinit { unsafe ring?.deallocate() }

  /// False when it is full.
  mutating func append(_ entry: Entry) -> Bool {
    if count == Self.capacity { return false }
    if unsafe ring == nil { unsafe ring = .allocate(capacity: Self.capacity) }
    unsafe (ring! + ((head + count) & (Self.capacity - 1))).initialize(to: entry)
    count += 1
    return true
  }

  /// Takes out the first entry of `client`; nil when it has none. The others keep their order.
  mutating func remove(of client: Unmanaged<BlockClient>) -> Entry? {
    for position in 0..<count {
      let entry = unsafe ring![(head + position) & (Self.capacity - 1)]
      guard unsafe entry.client.toOpaque() == client.toOpaque() else { continue }
      for later in position + 1..<max(count, position + 1) {
        unsafe ring![(head + later - 1) & (Self.capacity - 1)] = unsafe ring![(head + later) & (Self.capacity - 1)]
      }
      count -= 1
      return entry
    }
    return nil
  }

  mutating func popFirst() -> Entry? {
    if count == 0 { return nil }
    let entry = unsafe ring![head]
    head = (head + 1) & (Self.capacity - 1)
    count -= 1
    return entry
  }
}
