import CLinux
import Glibc

/// io_uring: one ring per thread, single issuer, deferred task work where the kernel has them.
@safe final class UringEngine: IOEngine {
  private static let submissionEntries: UInt32 = 1024
  private static let completionEntries: UInt32 = 8192
  /// Disk operations go to the kernel in groups of this size: the device works on the first ones while others are prepared.
  /// Handing over whole passes costs a tenth to a fifth of the throughput at queue depth 32; one by one costs a fifth more CPU.
  private static let submissionGroup: UInt32 = 4
  /// The user data of operations nobody waits for.
  private static let ignored: UInt64 = 0
  /// Names no handler either. All ones would be taken for liburing's own timeouts by kernels that have no others.
  private static let wakeUserData: UInt64 = 1

  private let ring: UnsafeMutablePointer<io_uring>
  private let wakeDescriptor: Int32
  private let wakeCounter: UnsafeMutablePointer<UInt64>
  private var hasPrepared = false
  /// Completions that had to make room for others before anybody reaped them.
  private var early: [(userData: UInt64, result: Int32)] = []
  /// The registered arenas; operations on memory inside them need no page pinning.
  private var registered: (MemoryRange, MemoryRange) = (MemoryRange(), MemoryRange())

  private struct MemoryRange {
    var base: UInt = 0
    var byteCount: UInt = 0

    @inline(__always)
    func contains(_ address: UInt, _ count: Int) -> Bool {
      let offset = address &- base
      return offset < byteCount && UInt(count) <= byteCount - offset
    }
  }

  /// Creates the ring on the calling thread, which must be the one that uses it. Throws what `io_uring_queue_init` says, for
  /// example EPERM under a seccomp profile or `kernel.io_uring_disabled`.
  init(arenas: (UnsafeMutableRawBufferPointer, UnsafeMutableRawBufferPointer)) throws(SystemError) {
    unsafe ring = .allocate(capacity: 1)
    unsafe wakeCounter = .allocate(capacity: 1)
    unsafe wakeCounter.initialize(to: 0)
    let candidates: [UInt32] = [
      UInt32(IORING_SETUP_SINGLE_ISSUER) | UInt32(IORING_SETUP_DEFER_TASKRUN) | UInt32(IORING_SETUP_TASKRUN_FLAG),
      UInt32(IORING_SETUP_COOP_TASKRUN) | UInt32(IORING_SETUP_TASKRUN_FLAG),
      0,
    ]
    var status: Int32 = -EINVAL
    for flags in candidates {
      unsafe memset(ring, 0, MemoryLayout<io_uring>.size)
      var parameters = io_uring_params()
      parameters.flags = flags | UInt32(IORING_SETUP_CQSIZE) | UInt32(IORING_SETUP_CLAMP)
      parameters.cq_entries = Self.completionEntries
      status = unsafe io_uring_queue_init_params(Self.submissionEntries, ring, &parameters)
      if status != -EINVAL { break }
    }
    guard status == 0 else {
      unsafe ring.deallocate()
      unsafe wakeCounter.deallocate()
      throw SystemError("set up io_uring", code: -status)
    }
    wakeDescriptor = eventfd(0, Int32(EFD_CLOEXEC))
    precondition(wakeDescriptor >= 0, "no descriptor left for an eventfd")
    super.init(kind: .ioUring)
    var vectors = unsafe (
      iovec(iov_base: arenas.0.baseAddress, iov_len: arenas.0.count), iovec(iov_base: arenas.1.baseAddress, iov_len: arenas.1.count)
    )
    let isRegistered = unsafe withUnsafeBytes(of: &vectors) {
      unsafe io_uring_register_buffers(ring, $0.baseAddress!.assumingMemoryBound(to: iovec.self), 2) == 0
    }
    // Refused where locked memory is limited; then plain reads and writes do.
    if isRegistered {
      registered.0 = unsafe MemoryRange(base: UInt(bitPattern: arenas.0.baseAddress), byteCount: UInt(arenas.0.count))
      registered.1 = unsafe MemoryRange(base: UInt(bitPattern: arenas.1.baseAddress), byteCount: UInt(arenas.1.count))
    }
    armWake()
    flush()
  }

  deinit {
    unsafe io_uring_queue_exit(ring)
    close(wakeDescriptor)
    unsafe ring.deallocate()
    unsafe wakeCounter.deallocate()
  }

  @inline(__always)
  private func nextEntry() -> UnsafeMutablePointer<io_uring_sqe> {
    hasPrepared = true
    while true {
      if let entry = unsafe io_uring_get_sqe(ring) { return unsafe entry }
      // The queue is full: hand it over. The kernel takes nothing (EBUSY) while there are completions that found no room.
      if unsafe io_uring_submit(ring) < 0 {
        while let completion = popCompletion() { early.append(completion) }
        unsafe io_uring_get_events(ring)
      }
    }
  }

  override func submit(
    _ operation: DiskOperation, descriptor: Int32, buffer: UnsafeMutableRawPointer?, byteCount: Int, offsetBytes: UInt64,
    userData: UInt64
  ) {
    let entry = unsafe nextEntry()
    let address = UInt(bitPattern: buffer)
    let isSecond = registered.1.contains(address, byteCount)
    let isRegistered = isSecond || registered.0.contains(address, byteCount)
    switch operation {
    case .read:
      if isRegistered {
        unsafe io_uring_prep_read_fixed(entry, descriptor, buffer, UInt32(byteCount), offsetBytes, isSecond ? 1 : 0)
      } else {
        unsafe io_uring_prep_read(entry, descriptor, buffer, UInt32(byteCount), offsetBytes)
      }
    case .write, .writeDurably:
      if isRegistered {
        unsafe io_uring_prep_write_fixed(entry, descriptor, buffer, UInt32(byteCount), offsetBytes, isSecond ? 1 : 0)
      } else {
        unsafe io_uring_prep_write(entry, descriptor, buffer, UInt32(byteCount), offsetBytes)
      }
      if case .writeDurably = operation { unsafe entry.pointee.rw_flags = Int32(RWF_DSYNC) }
    case .sync:
      unsafe io_uring_prep_fsync(entry, descriptor, UInt32(IORING_FSYNC_DATASYNC))
    case .fallocate(let mode):
      unsafe io_uring_prep_fallocate(entry, descriptor, mode, off_t(offsetBytes), off_t(byteCount))
    }
    unsafe entry.pointee.user_data = userData
    inFlight += 1
    // If the kernel refuses, the entries stay queued for the end of the pass.
    if unsafe io_uring_sq_ready(ring) >= Self.submissionGroup { unsafe io_uring_submit(ring) }
  }

  override func armPoll(descriptor: Int32, events: Int16, userData: UInt64) {
    let entry = unsafe nextEntry()
    unsafe io_uring_prep_poll_add(entry, descriptor, UInt32(UInt16(bitPattern: events)))
    unsafe entry.pointee.user_data = userData
    inFlight += 1
  }

  override func disarmPolls(descriptor: Int32, userData: UInt64) {
    let entry = unsafe nextEntry()
    unsafe io_uring_prep_poll_remove(entry, userData)
    unsafe entry.pointee.user_data = Self.ignored
    inFlight += 1
  }

  override func flush() {
    guard hasPrepared else { return }
    // On EBUSY or EAGAIN the entries stay queued and go with the next submission.
    if unsafe io_uring_submit(ring) >= 0, unsafe io_uring_sq_ready(ring) == 0 { hasPrepared = false }
  }

  override func reap(into reactor: Reactor) -> Int {
    // With deferred task work, completions appear only when the kernel is entered, and so do those that once found no room; flags
    // say there are some.
    if unsafe io_uring_cq_ready(ring) == 0
      && keelson_uring_sq_flags(ring) & (UInt32(IORING_SQ_TASKRUN) | UInt32(IORING_SQ_CQ_OVERFLOW)) != 0
    {
      unsafe io_uring_get_events(ring)
    }
    var count = 0
    // Bounded, so that one pass ends even when completions arrive as fast as they are handled.
    while count < 256 {
      guard let (userData, result) = early.isEmpty ? popCompletion() : early.removeFirst() else { break }
      count += 1
      if userData == Self.wakeUserData {
        armWake()
      } else {
        inFlight -= 1
        if userData != Self.ignored { reactor.dispatch(userData: userData, result: result) }
      }
    }
    return count
  }

  private func popCompletion() -> (userData: UInt64, result: Int32)? {
    var entry: UnsafeMutablePointer<io_uring_cqe>?
    guard unsafe io_uring_cq_ready(ring) > 0, unsafe io_uring_peek_cqe(ring, &entry) == 0, let entry = unsafe entry else { return nil }
    let completion = unsafe (entry.pointee.user_data, entry.pointee.res)
    unsafe io_uring_cqe_seen(ring, entry)
    return completion
  }

  override func wait(timeoutNanoseconds: UInt64?) {
    if !early.isEmpty { return }
    var entry: UnsafeMutablePointer<io_uring_cqe>?
    hasPrepared = false
    if let timeoutNanoseconds {
      var time = __kernel_timespec(
        tv_sec: Int64(timeoutNanoseconds / 1_000_000_000), tv_nsec: Int64(timeoutNanoseconds % 1_000_000_000))
      unsafe io_uring_submit_and_wait_timeout(ring, &entry, 1, &time, nil)
    } else {
      unsafe io_uring_submit_and_wait(ring, 1)
    }
    if unsafe io_uring_sq_ready(ring) > 0 { hasPrepared = true }
  }

  override nonisolated func wake() {
    eventfd_write(wakeDescriptor, 1)
  }

  private func armWake() {
    let entry = unsafe nextEntry()
    unsafe io_uring_prep_read(entry, wakeDescriptor, wakeCounter, 8, 0)
    unsafe entry.pointee.user_data = Self.wakeUserData
  }
}
