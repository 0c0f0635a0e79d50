import CLinux
import Glibc
import Reactor
import Synchronization
import Testing

@testable import Pool

let engines: [IOEngineChoice] = [.ioUring, .libaio]

private let nextPath = Atomic<Int>(0)

/// A path nobody uses; its file is removed with this.
final class TemporaryFile {
  let path: String

  init(folder: String = "/tmp", byteCount: UInt64? = nil) {
    path = "\(folder)/keelson-pool-\(getpid())-\(nextPath.wrappingAdd(1, ordering: .relaxed).newValue)"
    if let byteCount {
      let file = unsafe keelson_open(path, O_RDWR | O_CREAT | O_EXCL, 0o600)
      precondition(file >= 0 && ftruncate(file, off_t(byteCount)) == 0)
      close(file)
    }
  }

  deinit { unsafe unlink(path) }

  /// Puts bytes into the file behind the back of whoever has it open.
  func patch(_ bytes: [UInt8], at offset: UInt64) {
    let file = unsafe keelson_open(path, O_RDWR, 0)
    precondition(file >= 0)
    unsafe precondition(pwrite(file, bytes, bytes.count, off_t(offset)) == bytes.count)
    precondition(fsync(file) == 0)
    close(file)
  }

  func bytes(at offset: UInt64, count: Int) -> [UInt8] {
    let file = unsafe keelson_open(path, O_RDONLY, 0)
    precondition(file >= 0)
    var bytes = [UInt8](repeating: 0, count: count)
    let done = unsafe pread(file, &bytes, count, off_t(offset))
    close(file)
    return Array(bytes.prefix(max(0, done)))
  }

  /// Flips one bit.
  func flip(bit: Int, at offset: UInt64) { patch([bytes(at: offset, count: 1)[0] ^ UInt8(1 << bit)], at: offset) }

  func truncate(to byteCount: UInt64) { unsafe precondition(Glibc.truncate(path, off_t(byteCount)) == 0) }

  var exists: Bool { unsafe access(path, F_OK) == 0 }

  /// Bytes the file takes on its file system.
  var allocatedBytes: Int {
    var status = stat()
    unsafe precondition(stat(path, &status) == 0)
    return Int(status.st_blocks) * 512
  }
}

/// A client that remembers each answer, and that it came once and not from inside `submit`.
final class RecordingClient: BlockClient {
  var answers: [UInt64: BlockStatus] = [:]
  var order: [UInt64] = []
  var isSubmitting = false
  var onAnswer: ((UInt64) -> Void)?

  override func blockRequestCompleted(token: UInt64, status: BlockStatus) {
    #expect(!isSubmitting, "an answer from inside submit")
    #expect(answers[token] == nil, "two answers to request \(token)")
    answers[token] = status
    order.append(token)
    onAnswer?(token)
  }
}

/// A reactor on the calling thread, a client and two buffers of 1 MiB.
@safe final class TestBench {
  let reactor: Reactor
  let client = RecordingClient()
  private let memory: UnsafeMutableRawPointer
  private var nextToken: UInt64 = 0
  static let bufferBytes = 1 << 20

  init(_ engine: IOEngineChoice) throws {
    reactor = try Reactor(configuration: .init(engine: engine, arenaBytes: 4 << 20))
    unsafe memory = try #require(unsafe reactor.arena.allocate(byteCount: 2 * Self.bufferBytes))
  }

  var writeBuffer: UnsafeMutableRawPointer { unsafe memory }
  var readBuffer: UnsafeMutableRawPointer { unsafe memory + Self.bufferBytes }

  /// Submits and returns the token to ask `client.answers` with. Reads in flight together must not share a place in the buffer.
  @discardableResult
  func submit(
    _ operation: BlockOperation, to device: BlockDevice, at offset: UInt64 = 0, count: UInt64 = 0, durably: Bool = false,
    bufferOffset: Int = 0
  ) -> UInt64 {
    precondition(bufferOffset == 0 || bufferOffset + Int(count) <= Self.bufferBytes)
    nextToken += 1
    let buffer = unsafe operation == .read ? readBuffer + bufferOffset : operation == .write ? writeBuffer + bufferOffset : nil
    client.isSubmitting = true
    unsafe device.submit(
      BlockRequest(operation, offsetBytes: offset, byteCount: count, buffer: buffer, forceUnitAccess: durably, token: nextToken),
      for: client)
    client.isSubmitting = false
    return nextToken
  }

  /// Submits, waits, and returns how it ended.
  func perform(
    _ operation: BlockOperation, on device: BlockDevice, at offset: UInt64 = 0, count: UInt64 = 0, durably: Bool = false
  ) -> BlockStatus? {
    let token = submit(operation, to: device, at: offset, count: count, durably: durably)
    reactor.run(until: { self.client.answers[token] != nil }, timeoutNanoseconds: 20_000_000_000)
    return client.answers[token]
  }

  func write(_ bytes: [UInt8], to device: BlockDevice, at offset: UInt64, durably: Bool = false) -> BlockStatus? {
    unsafe bytes.withUnsafeBytes { unsafe writeBuffer.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    return perform(.write, on: device, at: offset, count: UInt64(bytes.count), durably: durably)
  }

  func read(_ device: BlockDevice, at offset: UInt64, count: Int) -> [UInt8]? {
    unsafe memset(readBuffer, 0xEE, count)
    guard perform(.read, on: device, at: offset, count: UInt64(count)) == .success else { return nil }
    return unsafe [UInt8](UnsafeRawBufferPointer(start: readBuffer, count: count))
  }

  /// Lets what was postponed happen.
  func settle() { reactor.run(until: { false }, timeoutNanoseconds: 1_000_000) }
}

/// Reproducible randomness (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
    return value ^ value >> 31
  }
}

/// Bytes that differ from place to place and from seed to seed, and never are zero.
func pattern(_ count: Int, seed: Int) -> [UInt8] {
  let start = seed % 1000 * 1021
  return Array(patternSource[start..<start + count])
}

private let patternSource: [UInt8] = {
  var generator = SeededGenerator(seed: 5)
  var bytes: [UInt8] = []
  for _ in 0..<(1 << 18) {
    let word = generator.next() | 0x0101_0101_0101_0101
    unsafe withUnsafeBytes(of: word) { unsafe bytes.append(contentsOf: $0) }
  }
  return bytes
}()

/// Makes part of an array zeros; a loop would take long in a debug build.
func clear(_ bytes: inout [UInt8], _ range: Range<Int>) {
  unsafe bytes.withUnsafeMutableBytes { unsafe _ = memset($0.baseAddress! + range.lowerBound, 0, range.count) }
}

func joined(_ parts: [[UInt8]]) -> [UInt8] {
  var whole: [UInt8] = []
  for part in parts { whole += part }
  return whole
}

/// Runs a shell command and returns its status, 0 if it succeeded.
func run(_ command: String) -> Int32 {
  var process = pid_t()
  var arguments = unsafe [strdup("sh"), strdup("-c"), strdup(command), nil]
  defer { unsafe arguments.forEach { unsafe free($0) } }
  unsafe precondition(posix_spawn(&process, "/bin/sh", nil, nil, &arguments, environ) == 0)
  var status: Int32 = 0
  while unsafe waitpid(process, &status, 0) < 0, errno == EINTR {}
  return status
}

/// Whether a file system in memory is there to try.
let hasMemoryFiles = unsafe access("/dev/shm", W_OK) == 0

let kibibyte: UInt64 = 1 << 10
let mebibyte: UInt64 = 1 << 20

extension Pool {
  /// Creates a replica with identifiers of its own.
  func makeReplica(sizeBytes: UInt64, blockSizeBytes: UInt32 = 512) throws -> ReplicaInfo {
    try createReplica(id: .random(), volumeID: .random(), sizeBytes: sizeBytes, blockSizeBytes: blockSizeBytes)
  }
}
