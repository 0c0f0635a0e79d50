import CLinux
import Foundation

/// Wakes every process that watches a store when any process changes it, without polling.
///
/// The bell is an empty file next to the database. A writer opens it for writing before it commits and closes it afterwards; the kernel
/// reports that close (IN_CLOSE_WRITE, inotify(7)) to everyone. The kernel also closes the files of a killed process, so a writer that
/// dies between its commit and its close has still rung: no wake-up is ever lost.
@safe struct SQLiteBell: Sendable {
  let path: String
  private let inotify: Int32
  private let wake: Int32

  /// What ended a wait.
  struct Wakeup {
    var isRung = false
    var isPoked = false
  }

  init(path: String) throws(StoreError) {
    self.path = path
    inotify = inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))
    if inotify < 0 { throw .unavailable(reason: "inotify_init1 failed: \(Self.message(errno)); see fs.inotify.max_user_instances") }
    wake = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
    if wake < 0 {
      let reason = Self.message(errno)
      _ = CLinux.close(inotify)
      throw .unavailable(reason: "eventfd failed: \(reason)")
    }
    do throws(StoreError) {
      try arm()
    } catch {
      close()
      throw error
    }
  }

  /// Creates the bell file if it is not there and listens to it.
  func arm() throws(StoreError) {
    try Self.finishRing(Self.beginRing(path: path))
    let mask = UInt32(IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF)
    if unsafe inotify_add_watch(inotify, path, mask) < 0 {
      throw .unavailable(reason: "cannot watch \(path): \(Self.message(errno)); see fs.inotify.max_user_watches")
    }
  }

  /// Sleeps until the bell rings, someone pokes, or the time is over; nil sleeps without end.
  func wait(timeoutNanoseconds: UInt64?) -> Wakeup {
    var descriptors = [pollfd(fd: inotify, events: Int16(POLLIN), revents: 0), pollfd(fd: wake, events: Int16(POLLIN), revents: 0)]
    let milliseconds = timeoutNanoseconds.map { Int32(clamping: ($0 + 999_999) / 1_000_000) } ?? -1
    let ready = unsafe poll(&descriptors, 2, milliseconds)
    var wakeup = Wakeup()
    if ready <= 0 { return wakeup }
    if descriptors[1].revents != 0 {
      var count: UInt64 = 0
      _ = unsafe read(wake, &count, 8)
      wakeup.isPoked = true
    }
    if descriptors[0].revents != 0 {
      wakeup.isRung = true
      drain()
    }
    return wakeup
  }

  /// Wakes the sleeper of this process.
  func poke() {
    var one: UInt64 = 1
    _ = unsafe write(wake, &one, 8)
  }

  func close() {
    _ = CLinux.close(inotify)
    _ = CLinux.close(wake)
  }

  /// Takes the rope: returns the descriptor whose close rings.
  static func beginRing(path: String) throws(StoreError) -> Int32 {
    let descriptor = unsafe keelson_open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    if descriptor < 0 { throw .unavailable(reason: "cannot open \(path): \(message(-descriptor))") }
    return descriptor
  }

  static func finishRing(_ descriptor: Int32) { _ = CLinux.close(descriptor) }

  /// Empties the queue; a bell that was deleted or replaced is put up again.
  private func drain() {
    var isGone = false
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(inotify, $0.baseAddress, $0.count) }
      if count <= 0 { break }
      // struct inotify_event: wd, mask, cookie, len (32 bits each), then `len` bytes of name.
      var offset = 0
      while offset + 16 <= count {
        let mask = UInt32(littleEndianAt: offset + 4, in: buffer)
        let length = Int(UInt32(littleEndianAt: offset + 12, in: buffer))
        if mask & UInt32(IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED) != 0 { isGone = true }
        offset += 16 + length
      }
    }
    if isGone { try? arm() }
  }

  static func message(_ code: Int32) -> String { unsafe String(cString: strerror(code)) }
}

extension UInt32 {
  fileprivate init(littleEndianAt offset: Int, in bytes: [UInt8]) {
    self = (0..<4).reversed().reduce(0) { $0 << 8 | UInt32(bytes[offset + $1]) }
  }
}
