import CLinux
import Glibc
import Synchronization

/// libaio for disks and epoll for sockets: for containers and kernels that forbid io_uring.
///
/// libaio has no fallocate, so a helper thread of the reactor, started on first use, makes those calls.
@safe final class EpollEngine: IOEngine {
  private static let slots = 1024

  private let epoll: Int32
  private let wakeDescriptor: Int32
  private let completionDescriptor: Int32
  private var context: io_context_t?
  private let blocks: UnsafeMutablePointer<iocb>
  private let events: UnsafeMutablePointer<io_event>
  private let ready: UnsafeMutablePointer<epoll_event>
  private let batch: UnsafeMutablePointer<UnsafeMutablePointer<iocb>?>
  private var batchCount = 0
  private var freeSlots: [Int32]
  private var asynchronousInFlight = 0
  /// Operations that found no free slot; they go first when one is free.
  private var waiting: [PendingOperation] = []
  private var interests: [Interest] = []
  private let worker: BlockingWorker
  private var readyCount = 0

  @safe private struct PendingOperation {
    let operation: DiskOperation
    let descriptor: Int32
    let buffer: UnsafeMutableRawPointer?
    let byteCount: Int
    let offsetBytes: UInt64
    let userData: UInt64
  }

  /// What is armed on a descriptor; 0 is nothing.
  private struct Interest {
    var readUserData: UInt64 = 0
    var writeUserData: UInt64 = 0
    var isKnown = false
  }

  init(reactor: Reactor) throws(SystemError) {
    epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
    guard epoll >= 0 else { throw SystemError("set up epoll", code: errno) }
    var context: io_context_t?
    let status = unsafe io_setup(Int32(Self.slots), &context)
    guard status == 0 else { throw SystemError("set up libaio (see fs.aio-max-nr)", code: -status) }
    unsafe self.context = unsafe context
    wakeDescriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
    completionDescriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
    precondition(wakeDescriptor >= 0 && completionDescriptor >= 0, "no descriptor left for an eventfd")
    unsafe blocks = .allocate(capacity: Self.slots)
    unsafe memset(blocks, 0, Self.slots * MemoryLayout<iocb>.stride)
    unsafe events = .allocate(capacity: Self.slots)
    unsafe ready = .allocate(capacity: 256)
    unsafe batch = .allocate(capacity: Self.slots)
    freeSlots = (0..<Int32(Self.slots)).reversed()
    worker = BlockingWorker(reactor: reactor)
    super.init(kind: .libaio)
    for descriptor in [wakeDescriptor, completionDescriptor] {
      var event = unsafe epoll_event()
      unsafe event.events = EPOLLIN.rawValue
      unsafe event.data.fd = descriptor
      unsafe epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event)
    }
  }

  deinit {
    worker.stop()
    unsafe io_destroy(context)
    close(epoll)
    close(wakeDescriptor)
    close(completionDescriptor)
    unsafe blocks.deallocate()
    unsafe events.deallocate()
    unsafe ready.deallocate()
    unsafe batch.deallocate()
  }

  override func submit(
    _ operation: DiskOperation, descriptor: Int32, buffer: UnsafeMutableRawPointer?, byteCount: Int, offsetBytes: UInt64,
    userData: UInt64
  ) {
    inFlight += 1
    if case .fallocate(let mode) = operation {
      worker.fallocate(
        descriptor: descriptor, mode: mode, offsetBytes: offsetBytes, byteCount: UInt64(byteCount), userData: userData)
      return
    }
    guard let slot = freeSlots.popLast() else {
      waiting.append(
        unsafe PendingOperation(
          operation: operation, descriptor: descriptor, buffer: buffer, byteCount: byteCount, offsetBytes: offsetBytes,
          userData: userData))
      return
    }
    let block = unsafe blocks + Int(slot)
    switch operation {
    case .read: unsafe io_prep_pread(block, descriptor, buffer, byteCount, Int64(offsetBytes))
    case .write: unsafe io_prep_pwrite(block, descriptor, buffer, byteCount, Int64(offsetBytes))
    case .writeDurably:
      unsafe io_prep_pwrite(block, descriptor, buffer, byteCount, Int64(offsetBytes))
      unsafe keelson_aio_set_rw_flags(block, Int32(RWF_DSYNC))
    case .sync: unsafe io_prep_fdsync(block, descriptor)
    case .fallocate: preconditionFailure("handled above")
    }
    unsafe io_set_eventfd(block, completionDescriptor)
    unsafe block.pointee.data = UnsafeMutableRawPointer(bitPattern: UInt(userData))
    unsafe batch[batchCount] = unsafe block
    batchCount += 1
    asynchronousInFlight += 1
  }

  override func armPoll(descriptor: Int32, events: Int16, userData: UInt64) {
    while interests.count <= Int(descriptor) { interests.append(Interest()) }
    if events & Int16(POLLIN) != 0 { interests[Int(descriptor)].readUserData = userData }
    if events & Int16(POLLOUT) != 0 { interests[Int(descriptor)].writeUserData = userData }
    inFlight += 1
    rearm(descriptor)
  }

  private func rearm(_ descriptor: Int32) {
    let interest = interests[Int(descriptor)]
    var event = unsafe epoll_event()
    if interest.readUserData != 0 { unsafe event.events |= EPOLLIN.rawValue }
    if interest.writeUserData != 0 { unsafe event.events |= EPOLLOUT.rawValue }
    unsafe event.events |= EPOLLONESHOT.rawValue
    unsafe event.data.fd = descriptor
    if interest.isKnown, unsafe epoll_ctl(epoll, EPOLL_CTL_MOD, descriptor, &event) == 0 { return }
    unsafe epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event)
    interests[Int(descriptor)].isKnown = true
  }

  override func disarmPolls(descriptor: Int32, userData: UInt64) {
    guard Int(descriptor) < interests.count, interests[Int(descriptor)].isKnown else { return }
    var event = unsafe epoll_event()
    unsafe epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, &event)
    if interests[Int(descriptor)].readUserData != 0 { inFlight -= 1 }
    if interests[Int(descriptor)].writeUserData != 0 { inFlight -= 1 }
    interests[Int(descriptor)] = Interest()
  }

  override func flush() {
    while !waiting.isEmpty && !freeSlots.isEmpty {
      let first = waiting.removeFirst()
      inFlight -= 1
      unsafe submit(
        first.operation, descriptor: first.descriptor, buffer: first.buffer, byteCount: first.byteCount,
        offsetBytes: first.offsetBytes, userData: first.userData)
    }
    var sent = 0
    while sent < batchCount {
      let count = unsafe io_submit(context, batchCount - sent, batch + sent)
      if count > 0 {
        sent += Int(count)
      } else if count == -EAGAIN || count == -EINTR {
        break
      } else {
        // The first of the rest was refused (for example EBADF): it ends here, with the reason.
        let block = unsafe batch[sent]!
        unsafe failed.append((userData(of: block), Int32(count)))
        unsafe release(block)
        sent += 1
      }
    }
    for index in sent..<batchCount { unsafe batch[index - sent] = unsafe batch[index] }
    batchCount -= sent
  }

  private var failed: [(userData: UInt64, result: Int32)] = []

  private func userData(of block: UnsafeMutablePointer<iocb>) -> UInt64 { unsafe UInt64(UInt(bitPattern: block.pointee.data)) }

  private func release(_ block: UnsafeMutablePointer<iocb>) {
    freeSlots.append(Int32(unsafe block - blocks))
    asynchronousInFlight -= 1
  }

  override func reap(into reactor: Reactor) -> Int {
    var count = 0
    while let (userData, result) = failed.popLast() {
      inFlight -= 1
      count += 1
      reactor.dispatch(userData: userData, result: result)
    }
    if asynchronousInFlight > batchCount {
      var zero = timespec(tv_sec: 0, tv_nsec: 0)
      let finished = unsafe io_getevents(context, 0, 256, events, &zero)
      if finished > 0 {
        for index in 0..<Int(finished) {
          let block = unsafe events[index].obj!
          let userData = unsafe userData(of: block)
          let result = Int32(truncatingIfNeeded: Int(bitPattern: unsafe UInt(events[index].res)))
          unsafe release(block)
          inFlight -= 1
          reactor.dispatch(userData: userData, result: result)
        }
        count += Int(finished)
      }
    }
    if readyCount == 0 { collect(timeoutMilliseconds: 0) }
    let polled = readyCount
    readyCount = 0
    for index in 0..<polled {
      let descriptor = unsafe ready[index].data.fd
      let bits = unsafe ready[index].events
      if descriptor == wakeDescriptor || descriptor == completionDescriptor {
        var value: eventfd_t = 0
        unsafe eventfd_read(descriptor, &value)
        count += 1
        continue
      }
      guard Int(descriptor) < interests.count else { continue }
      let hasEnded = bits & (EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0
      let interest = interests[Int(descriptor)]
      let reads = interest.readUserData != 0 && (hasEnded || bits & EPOLLIN.rawValue != 0)
      let writes = interest.writeUserData != 0 && (hasEnded || bits & EPOLLOUT.rawValue != 0)
      if reads { interests[Int(descriptor)].readUserData = 0 }
      if writes { interests[Int(descriptor)].writeUserData = 0 }
      if (interest.readUserData != 0 && !reads) || (interest.writeUserData != 0 && !writes) { rearm(descriptor) }
      if reads {
        inFlight -= 1
        reactor.dispatch(userData: interest.readUserData, result: Int32(bits))
      }
      if writes {
        inFlight -= 1
        reactor.dispatch(userData: interest.writeUserData, result: Int32(bits))
      }
      count += 1
    }
    return count
  }

  private func collect(timeoutMilliseconds: Int32) {
    let count = unsafe epoll_wait(epoll, ready, 256, timeoutMilliseconds)
    readyCount = max(0, Int(count))
  }

  override func wait(timeoutNanoseconds: UInt64?) {
    flush()
    guard failed.isEmpty else { return }
    // Rounded up, or a timer due in half a millisecond would be waited for in a spin.
    var milliseconds = timeoutNanoseconds.map { Int32(min($0 / 1_000_000 + ($0 % 1_000_000 > 0 ? 1 : 0), 3_600_000)) } ?? -1
    // Operations that the kernel had no room for (EAGAIN) are offered again soon: maybe nothing else wakes us.
    if batchCount > 0 { milliseconds = milliseconds < 0 ? 1 : min(milliseconds, 1) }
    collect(timeoutMilliseconds: milliseconds)
  }

  override nonisolated func wake() {
    eventfd_write(wakeDescriptor, 1)
  }

  /// The blocking call of the worker came back.
  func workerFinished(userData: UInt64, result: Int32, reactor: Reactor) {
    inFlight -= 1
    reactor.dispatch(userData: userData, result: result)
  }
}
