import CLinux
import Glibc
import Host
import NVMe
import Pool
import Reactor

/// What a run does its I/O on.
public enum BenchSource: Sendable {
  /// A file or block device, opened for what the plan does.
  case file(DiskFile)
  /// A subsystem's first namespace over NVMe/TCP; each job connects by itself.
  case subsystem(BenchSubsystem)
  /// A replica of a pool that nobody else uses, without a network in between. The run closes the pool at its end. All jobs are on one
  /// reactor, as all of a pool is.
  case replica(Pool, Identifier)

  /// Opens a file or block device. A pattern that writes creates an absent file, or fills an empty one, with `plan.sizeBytes`, and
  /// refuses one that holds data unless `force`; a pattern that only reads changes nothing.
  public static func file(path: String, plan: BenchPlan, force: Bool) throws(BenchRunError) -> BenchSource {
    var status = stat()
    let isPresent = unsafe stat(path, &status) == 0
    let isRegular = isPresent && keelson_is_regular(status.st_mode) != 0
    let isEmpty = !isPresent || isRegular && status.st_size == 0
    if isEmpty, !isPresent && errno != ENOENT {
      throw BenchRunError(.system(path: path, action: "examine", code: errno))
    }
    if isEmpty && !plan.pattern.writes {
      throw BenchRunError(
        isPresent ? "empty_file" : "file_not_found", "there is nothing to read: \(path) \(isPresent ? "is empty" : "does not exist")",
        hint: "Fill it first: keelson bench \(path) --rw write --bs 1m --size 1GiB --one-pass")
    }
    if isEmpty && plan.sizeBytes == nil {
      throw BenchRunError(
        "size_missing", "\(path) \(isPresent ? "is empty" : "does not exist"), and nothing says how large it should become",
        hint: "Give --size, for example --size 1GiB.")
    }
    do throws(PoolError) {
      let file = try DiskFile(
        path: path, access: plan.pattern.writes ? .readWrite : .readOnly, createFileBytes: isEmpty ? plan.sizeBytes : nil)
      if plan.pattern.writes && !force && !isEmpty, let content = try content(of: file, isRegular: isRegular, blocks: status.st_blocks) {
        throw .foreignContent(path: path, what: content)
      }
      return .file(file)
    } catch .foreignContent(let path, let what) {
      throw .foreignContent(of: path, what: what)
    } catch {
      throw BenchRunError(error)
    }
  }

  /// What the file holds, as far as it is known; nil if it holds nothing. A regular file holds something once blocks of it are
  /// allocated, whatever they say.
  private static func content(of file: DiskFile, isRegular: Bool, blocks: Int) throws(PoolError) -> String? {
    if isRegular && blocks == 0 { return nil }
    return try file.contentDescription() ?? (isRegular ? "data, or space set aside for it" : nil)
  }
}

/// A subsystem of an NVMe/TCP target, and how to connect to it.
public struct BenchSubsystem: Equatable, Sendable {
  /// Where it is to be had, in the order in which they are tried.
  public var addresses: [SocketAddress]
  public var name: QualifiedName
  /// The name to connect under, for targets that admit only hosts they know; nil makes one up.
  public var hostName: QualifiedName?
  /// I/O queues per job.
  public var queueCount: Int
  /// Header and data digests (CRC32C) on every PDU.
  public var usesDigests: Bool
  /// Whether writes may destroy a file system or other known content.
  public var mayOverwriteContent: Bool

  /// `queueCount` is 1 to 64; there is one address at least.
  public init(
    addresses: [SocketAddress], name: QualifiedName, hostName: QualifiedName? = nil, queueCount: Int = 1, usesDigests: Bool = false,
    mayOverwriteContent: Bool = false
  ) {
    precondition((1...64).contains(queueCount) && !addresses.isEmpty)
    self.addresses = addresses
    self.name = name
    self.hostName = hostName
    self.queueCount = queueCount
    self.usesDigests = usesDigests
    self.mayOverwriteContent = mayOverwriteContent
  }

  /// A host of its own for each job: a target ends the older of two controllers of one host.
  func makeIdentity() -> HostIdentity {
    var random = SystemRandomNumberGenerator()
    var identifier = Identifier128(high: random.next(), low: random.next())
    // A version 4 UUID (RFC 9562, 5.4).
    identifier.high = identifier.high & ~0xF000 | 0x4000
    identifier.low = identifier.low & ~(0b11 << 62) | 0b10 << 62
    guard let name = hostName ?? QualifiedName("nqn.2014-08.org.nvmexpress:uuid:\(identifier)") else {
      preconditionFailure("a UUID makes a valid name")
    }
    return HostIdentity(name: name, identifier: identifier)
  }

  /// `depth` requests of a job are in flight. With `reconnects` a lost connection is made again, again and again.
  func options(depth: Int, reconnects: Bool = false) -> HostOptions {
    var options = HostOptions()
    if reconnects { options.reconnect = .backOff(initialMilliseconds: 50, maximumMilliseconds: 500) }
    options.ioQueues = queueCount
    options.queueDepth = min(HostOptions.maximumQueueDepth, max(32, (depth + queueCount - 1) / queueCount))
    options.headerDigest = usesDigests
    options.dataDigest = usesDigests
    return options
  }
}
