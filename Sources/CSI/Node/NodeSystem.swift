/// What the node service asks of the machine it runs on. It remembers nothing itself: whatever it must know it reads back through here,
/// so a killed plugin goes on where it was. `LinuxSystem` is the real one.
public protocol NodeSystem: Sendable {
  // MARK: The kernel's NVMe host

  /// Why the kernel cannot connect to volumes, nil if it can.
  var hostRefusal: String? { get }
  var processorCount: Int { get }
  /// Connects by the options of the fabrics device (kernel, drivers/nvme/host/fabrics.c, `opt_tokens`). Fails with `EALREADY` if such a
  /// connection is there.
  func connect(_ options: String) throws(SystemFailure)
  func controllers() -> [NVMeController]
  /// The block devices that hosts of namespaces may use: heads of multipath devices, not their paths.
  func namespaces() -> [NVMeNamespace]
  func disconnect(_ controller: String) throws(SystemFailure)
  /// Has the controller's namespaces looked at again.
  func rescan(_ controller: String)

  // MARK: Mounts

  /// All mounts that this process sees, the oldest first.
  func mounts() throws(SystemFailure) -> [MountEntry]
  func mount(_ request: MountRequest) throws(SystemFailure)
  /// Takes away the uppermost mount at `path`.
  func unmount(_ path: String) throws(SystemFailure)
  func usage(ofFilesystemAt path: String) throws(SystemFailure) -> FilesystemUsage

  // MARK: Files

  /// What is at `path`, nil if nothing is.
  func kind(of path: String) throws(SystemFailure) -> FileKind?
  /// With all folders above it.
  func makeDirectory(_ path: String) throws(SystemFailure)
  func makeFile(_ path: String) throws(SystemFailure)
  /// Removes an empty folder or an empty file.
  func remove(_ path: String) throws(SystemFailure)

  // MARK: Devices

  func read(_ device: String, offsetBytes: UInt64, count: Int) throws(SystemFailure) -> [UInt8]
  /// Returns when the bytes are durable.
  func write(_ device: String, offsetBytes: UInt64, _ bytes: [UInt8]) throws(SystemFailure)

  // MARK: Programs and time

  /// Runs a program found on the path; `ENOENT` if there is none. A program that takes longer is killed and fails with `ETIMEDOUT`.
  func run(_ program: String, _ arguments: [String], limitSeconds: Int) throws(SystemFailure) -> ProgramResult
  func pause(milliseconds: Int)
}

/// A call of the system that failed: what was tried, and the error number.
public struct SystemFailure: Error, Equatable, Sendable, CustomStringConvertible {
  public var action: String
  public var code: Int32

  public init(_ action: String, code: Int32) {
    self.action = action
    self.code = code
  }

  public var description: String { "could not \(action): \(ErrorText.of(code))" }
}

/// A connection of the kernel's to a controller.
public struct NVMeController: Equatable, Sendable {
  /// `nvme0`.
  public var name: String
  public var subsystemNQN: String
  public var hostNQN: String
  public var transportAddress: String
  public var transportService: String
  /// The kernel's word: `live`, `connecting`, `deleting`…
  public var state: String
  /// As it was connected; nil where the kernel does not say. -1 for ever.
  public var controllerLossSeconds: Int?
  public var keepAliveSeconds: Int?
  public var ioQueues: Int?

  public init(
    name: String, subsystemNQN: String, hostNQN: String, transportAddress: String, transportService: String, state: String,
    controllerLossSeconds: Int? = nil, keepAliveSeconds: Int? = nil, ioQueues: Int? = nil
  ) {
    self.controllerLossSeconds = controllerLossSeconds
    self.keepAliveSeconds = keepAliveSeconds
    self.ioQueues = ioQueues
    self.name = name
    self.subsystemNQN = subsystemNQN
    self.hostNQN = hostNQN
    self.transportAddress = transportAddress
    self.transportService = transportService
    self.state = state
  }
}

/// A block device of the kernel's.
public struct NVMeNamespace: Equatable, Sendable {
  /// `nvme0n1`.
  public var name: String
  /// 32 lower-case hexadecimal digits.
  public var nguid: String
  public var subsystemNQN: String
  /// `MAJOR:MINOR`.
  public var deviceNumber: String
  public var sizeBytes: UInt64
  public var isReadOnly: Bool

  public init(
    name: String, nguid: String, subsystemNQN: String, deviceNumber: String, sizeBytes: UInt64, isReadOnly: Bool = false
  ) {
    self.name = name
    self.nguid = nguid
    self.subsystemNQN = subsystemNQN
    self.deviceNumber = deviceNumber
    self.sizeBytes = sizeBytes
    self.isReadOnly = isReadOnly
  }

  public var path: String { "/dev/\(name)" }
}

/// What a program ended with. A program that a signal ended has 128 and the signal's number.
public struct ProgramResult: Equatable, Sendable {
  public var status: Int32
  /// The end of what it wrote, to either of its outputs.
  public var output: String

  public init(status: Int32, output: String) {
    self.status = status
    self.output = output
  }
}

public enum FileKind: Equatable, Sendable {
  case directory, file, other
  /// `MAJOR:MINOR`.
  case blockDevice(String)
}

/// Bytes and inodes of a filesystem.
public struct FilesystemUsage: Equatable, Sendable {
  public var totalBytes: UInt64
  public var availableBytes: UInt64
  public var usedBytes: UInt64
  /// 0 where the filesystem has no number of inodes (btrfs).
  public var totalInodes: UInt64
  public var availableInodes: UInt64

  public init(totalBytes: UInt64, availableBytes: UInt64, usedBytes: UInt64, totalInodes: UInt64, availableInodes: UInt64) {
    self.totalBytes = totalBytes
    self.availableBytes = availableBytes
    self.usedBytes = usedBytes
    self.totalInodes = totalInodes
    self.availableInodes = availableInodes
  }
}
