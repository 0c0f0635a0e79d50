import CLinux
import Glibc

/// The folder of one `keelson dev`: what lies where, and who runs in it.
///
///     dev.lock           locked by the running `keelson dev`, whose process id it holds
///     store.db           the state store
///     NODE/disk.pool     the node's pool in a sparse file
///     logs/NODE.log      what the node had to say
public struct DevDirectory: Equatable, Sendable {
  public let path: String

  public init(path: String) { self.path = path }

  /// The folder that `KEELSON_DIR` names, else `.keelson/dev` in the home; nil without either.
  public static func standard(environment: (String) -> String?) -> DevDirectory? {
    if let path = environment("KEELSON_DIR"), !path.isEmpty { return DevDirectory(path: path) }
    guard let home = environment("HOME"), !home.isEmpty else { return nil }
    return DevDirectory(path: home + "/.keelson/dev")
  }

  public var lockPath: String { path + "/dev.lock" }
  public var storePath: String { path + "/store.db" }
  public var logFolder: String { path + "/logs" }

  public func logPath(node: String) -> String { logFolder + "/\(node).log" }
  public func nodeFolder(_ node: String) -> String { path + "/\(node)" }
  public func poolPath(node: String) -> String { nodeFolder(node) + "/disk.pool" }

  /// Creates the folders that are missing, readable by their owner alone.
  public func create(nodes: [String]) throws(DevError) {
    let folders = [path, logFolder] + nodes.map { nodeFolder($0) }
    for folder in folders { try Self.createFolder(folder) }
  }

  /// The process id of the `keelson dev` that runs here, 0 if it cannot be read; nil if none runs.
  public func runningProcess() -> Int32? {
    let descriptor = unsafe keelson_open(lockPath, O_RDWR | O_CLOEXEC, 0)
    guard descriptor >= 0 else { return nil }
    defer { Glibc.close(descriptor) }
    if flock(descriptor, LOCK_SH | LOCK_NB) == 0 { return nil }
    return errno == EWOULDBLOCK ? Self.processID(in: descriptor) : nil
  }

  /// Takes the folder for this process until the lock is let go of, or the process ends.
  public func lock() throws(DevError) -> DevLock {
    let descriptor = unsafe keelson_open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .system(action: "create \(lockPath)", code: -descriptor) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let code = errno
      let other = Self.processID(in: descriptor)
      Glibc.close(descriptor)
      if code == EWOULDBLOCK { throw .alreadyRunning(path: path, processID: other) }
      throw .system(action: "lock \(lockPath)", code: code)
    }
    let text = Array("\(getpid())\n".utf8)
    guard ftruncate(descriptor, 0) == 0, unsafe pwrite(descriptor, text, text.count, 0) == text.count else {
      let code = errno
      Glibc.close(descriptor)
      throw .system(action: "write \(lockPath)", code: code)
    }
    return DevLock(descriptor: descriptor)
  }

  private static func processID(in descriptor: Int32) -> Int32 {
    var bytes = [UInt8](repeating: 0, count: 16)
    let count = unsafe pread(descriptor, &bytes, bytes.count, 0)
    let digits = bytes.prefix(max(0, count)).prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    return Int32(String(decoding: digits, as: UTF8.self)) ?? 0
  }

  /// As `mkdir -p`.
  private static func createFolder(_ folder: String) throws(DevError) {
    var end = folder.startIndex
    while end < folder.endIndex {
      end = folder[folder.index(after: end)...].firstIndex(of: "/") ?? folder.endIndex
      let part = String(folder[..<end])
      if unsafe mkdir(part, 0o700) != 0 && errno != EEXIST { throw .system(action: "create the folder \(part)", code: errno) }
    }
    var status = stat()
    guard unsafe stat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
      throw .system(action: "use the folder \(folder)", code: ENOTDIR)
    }
  }
}

/// Held while a `keelson dev` runs. The file stays: removing it would let two hold locks on two files of one name.
public struct DevLock: ~Copyable, Sendable {
  let descriptor: Int32

  deinit { Glibc.close(descriptor) }
}
