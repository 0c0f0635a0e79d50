import CLinux
import Glibc
import Reactor

/// How a process ended.
enum ProcessEnd: Equatable, Sendable, CustomStringConvertible {
  case exited(status: Int32)
  case killed(signal: Int32)

  /// From what `waitpid` says.
  init(waitStatus: Int32) {
    let signal = waitStatus & 0x7F
    self = signal == 0 ? .exited(status: waitStatus >> 8 & 0xFF) : .killed(signal: signal)
  }

  /// As in "the node …".
  var description: String {
    switch self {
    case .exited(let status): "ended with exit status \(status)"
    case .killed(let signal): "was killed by signal \(signal)"
    }
  }
}

/// A running copy of this program.
struct ChildProcess: Sendable {
  let processID: Int32

  /// Runs this program again with `arguments`, its standard input `standardInput`, its output appended to the file `logPath`.
  /// It is in a process group of its own, so that Ctrl-C reaches it through us alone. `whenEnded` is called once, on a thread of
  /// its own.
  static func start(
    arguments: [String], standardInput: Int32, logPath: String, whenEnded: @escaping @Sendable (ProcessEnd) -> Void
  ) throws(DevError) -> ChildProcess {
    let log = unsafe keelson_open(logPath, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard log >= 0 else { throw .system(action: "open \(logPath)", code: -log) }
    defer { Glibc.close(log) }

    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    for (descriptor, number) in [(standardInput, STDIN_FILENO), (log, STDOUT_FILENO), (log, STDERR_FILENO)] {
      unsafe posix_spawn_file_actions_adddup2(&actions, descriptor, number)
    }

    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    // Signals that we block or ignore are the child's to decide about.
    var none = sigset_t()
    unsafe sigemptyset(&none)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    var all = sigset_t()
    unsafe sigfillset(&all)
    unsafe posix_spawnattr_setsigdefault(&attributes, &all)
    unsafe posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF) | Int16(POSIX_SPAWN_SETPGROUP))

    var vector: [UnsafeMutablePointer<CChar>?] = unsafe (["keelson"] + arguments).map { unsafe strdup($0) } + [nil]
    defer { unsafe vector.forEach { unsafe free($0) } }
    var processID: pid_t = 0
    // The link, and not what it names: the program's file may have been replaced meanwhile.
    let code = unsafe posix_spawn(&processID, "/proc/self/exe", &actions, &attributes, &vector, environ)
    guard code == 0 else { throw .system(action: "start another process", code: code) }
    let started = processID
    PlainThread.start(name: "keelson-wait") {
      var status: Int32 = 0
      while unsafe waitpid(started, &status, 0) < 0, errno == EINTR {}
      whenEnded(ProcessEnd(waitStatus: status))
    }
    return ChildProcess(processID: processID)
  }

  /// Only before `whenEnded` was called: afterwards the number may be another process's.
  func send(_ signal: Int32) { kill(processID, signal) }
}
