import Glibc
import Reactor

/// Ctrl-C and SIGTERM as calls on a thread of their own.
enum Interruptions {
  /// From now on `handler` is told of each one, and how many there have been. Call it before other threads are started: they
  /// inherit that the signals are not for them.
  static func watch(_ handler: @escaping @Sendable (Int) -> Void) {
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    unsafe sigaddset(&signals, SIGINT)
    unsafe sigaddset(&signals, SIGTERM)
    unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
    let waited = signals
    PlainThread.start(name: "keelson-signal") {
      var signals = waited
      var received: Int32 = 0
      var count = 0
      while unsafe sigwait(&signals, &received) == 0 {
        count += 1
        handler(count)
      }
    }
  }
}
