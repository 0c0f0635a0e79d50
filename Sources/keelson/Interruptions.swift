import Glibc
import Reactor

/// Ctrl-C and SIGTERM as calls on a thread of their own. Create it before other threads are started: they inherit that the
/// signals are not for them.
final class Interruptions: Sendable {
  /// `handler` is told how many there have been.
  init(_ handler: @escaping @Sendable (Int) -> Void) {
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
