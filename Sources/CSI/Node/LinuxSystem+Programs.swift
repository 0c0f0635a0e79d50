import CLinux
import Glibc

extension LinuxSystem {
  /// What is kept of a program's words.
  private static let maximumOutputBytes = 4096

  public func run(_ program: String, _ arguments: [String], limitSeconds: Int) throws(SystemFailure) -> ProgramResult {
    var ends: [Int32] = [0, 0]
    // Sockets, since they are born closed to other programs that are started at the same time.
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    guard unsafe socketpair(AF_UNIX, type, 0, &ends) == 0 else { throw SystemFailure("run \(program)", code: errno) }
    defer { close(ends[0]) }
    let processID: pid_t
    do throws(SystemFailure) {
      processID = try Self.spawn(program, arguments, output: ends[1])
      close(ends[1])
    } catch {
      close(ends[1])
      throw error
    }
    var output: [UInt8] = []
    let isOver = Self.collect(ends[0], limitSeconds: limitSeconds, into: &output)
    if !isOver { kill(-processID, SIGKILL) }
    var status: Int32 = 0
    while unsafe waitpid(processID, &status, 0) < 0, errno == EINTR {}
    if !isOver { throw SystemFailure("run \(program) within \(limitSeconds) s", code: ETIMEDOUT) }
    var text = String(decoding: output.suffix(Self.maximumOutputBytes), as: UTF8.self)
    while text.last?.isWhitespace == true { text.removeLast() }
    let signal = status & 0x7F
    return ProgramResult(status: signal == 0 ? status >> 8 & 0xFF : 128 + signal, output: text)
  }

  /// In a process group of its own, without anything of ours but its output.
  private static func spawn(_ program: String, _ arguments: [String], output: Int32) throws(SystemFailure) -> pid_t {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
    unsafe posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO)
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    unsafe sigemptyset(&none)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    var all = sigset_t()
    unsafe sigfillset(&all)
    unsafe posix_spawnattr_setsigdefault(&attributes, &all)
    unsafe posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF) | Int16(POSIX_SPAWN_SETPGROUP))
    var vector: [UnsafeMutablePointer<CChar>?] = unsafe ([program] + arguments).map { unsafe strdup($0) } + [nil]
    defer { unsafe vector.forEach { unsafe free($0) } }
    var processID: pid_t = 0
    let code = unsafe posix_spawnp(&processID, program, &actions, &attributes, &vector, environ)
    if code != 0 { throw SystemFailure("run \(program)", code: code) }
    return processID
  }

  /// Reads until the other side closes; false if it has not in time.
  private static func collect(_ descriptor: Int32, limitSeconds: Int, into output: inout [UInt8]) -> Bool {
    var part = [UInt8](repeating: 0, count: 4096)
    var now = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &now)
    let end = Int(now.tv_sec) + limitSeconds
    while true {
      unsafe clock_gettime(CLOCK_MONOTONIC, &now)
      let left = end - Int(now.tv_sec)
      if left <= 0 { return false }
      var waited = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      let ready = unsafe poll(&waited, 1, Int32(clamping: left * 1000))
      if ready <= 0 { continue }
      let count = unsafe Glibc.read(descriptor, &part, part.count)
      if count < 0, errno == EINTR { continue }
      if count <= 0 { return true }
      output += part[..<count]
      if output.count > 4 * maximumOutputBytes { output.removeFirst(output.count - maximumOutputBytes) }
    }
  }
}
