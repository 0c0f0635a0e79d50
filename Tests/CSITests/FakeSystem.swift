import Glibc
import Synchronization

@testable import CSI

/// A machine made up: what a kernel, a disk and programs would do, as far as the node service can see.
final class FakeSystem: NodeSystem {
  struct Disk {
    var name: String
    var nguid: String
    var subsystemNQN: String
    var bytes: [UInt8]
    var isReadOnly = false
  }

  struct State {
    var hostRefusal: String?
    /// By subsystem; each appears when a path to it is connected.
    var disks: [Disk] = []
    /// Addresses that refuse.
    var refusing: Set<String> = []
    var controllers: [NVMeController] = []
    var mounts: [MountEntry] = []
    var files: [String: FileKind] = ["/": .directory]
    var programs: [[String]] = []
    var failingPrograms: Set<String> = []
    var missingPrograms: Set<String> = []
    var connectOptions: [String] = []
    var rescanned: [String] = []
    /// Sizes that a rescan brings to light.
    var grown: [String: Int] = [:]
    var nextController = 0
    var dyingAt: String?
  }

  let state: Mutex<State>

  init(_ state: State = State()) { self.state = Mutex(state) }

  func with<Value>(_ body: (inout sending State) throws -> sending Value) rethrows -> Value { try state.withLock(body) }

  var hostRefusal: String? { with { $0.hostRefusal } }
  var processorCount: Int { 8 }

  func connect(_ options: String) throws(SystemFailure) {
    let fields = LinuxSystem.fields(of: options)
    let failure: SystemFailure? = with { state in
      state.connectOptions.append(options)
      guard let nqn = fields["nqn"], let address = fields["traddr"], let service = fields["trsvcid"] else {
        return SystemFailure("parse", code: EINVAL)
      }
      if state.refusing.contains("\(address):\(service)") { return SystemFailure("connect", code: ECONNREFUSED) }
      if state.controllers.contains(where: { $0.subsystemNQN == nqn && $0.transportAddress == address && $0.transportService == service }) {
        return SystemFailure("connect", code: EALREADY)
      }
      state.controllers.append(
        NVMeController(
          name: "nvme\(state.nextController)", subsystemNQN: nqn, hostNQN: fields["hostnqn"] ?? "", transportAddress: address,
          transportService: service, state: "live", controllerLossSeconds: fields["ctrl_loss_tmo"].flatMap(Int.init),
          keepAliveSeconds: fields["keep_alive_tmo"].flatMap(Int.init), ioQueues: fields["nr_io_queues"].flatMap(Int.init)))
      state.nextController += 1
      for disk in state.disks where disk.subsystemNQN == nqn { state.files["/dev/\(disk.name)"] = .blockDevice(Self.number(disk)) }
      return nil
    }
    if let failure { throw failure }
  }

  func controllers() -> [NVMeController] { with { $0.controllers } }

  static func number(_ disk: Disk) -> String { "259:\(disk.name.utf8.reduce(0) { $0 + Int($1) })" }

  func namespaces() -> [NVMeNamespace] {
    with { state in
      state.disks.filter { disk in state.controllers.contains { $0.subsystemNQN == disk.subsystemNQN } }.map {
        NVMeNamespace(
          name: $0.name, nguid: $0.nguid, subsystemNQN: $0.subsystemNQN, deviceNumber: Self.number($0),
          sizeBytes: UInt64($0.bytes.count), isReadOnly: $0.isReadOnly)
      }
    }
  }

  func disconnect(_ controller: String) throws(SystemFailure) {
    with { state in
      state.controllers.removeAll { $0.name == controller }
      for disk in state.disks where !state.controllers.contains(where: { $0.subsystemNQN == disk.subsystemNQN }) {
        state.files["/dev/\(disk.name)"] = nil
      }
    }
  }

  func rescan(_ controller: String) {
    with { state in
      state.rescanned.append(controller)
      for index in state.disks.indices {
        if let size = state.grown[state.disks[index].name] {
          state.disks[index].bytes += [UInt8](repeating: 0, count: size - state.disks[index].bytes.count)
        }
      }
    }
  }

  func mounts() throws(SystemFailure) -> [MountEntry] { with { $0.mounts } }

  func mount(_ request: MountRequest) throws(SystemFailure) {
    let failure: SystemFailure? = with { state in
      if state.files[request.target] == nil { return SystemFailure("mount at \(request.target)", code: ENOENT) }
      if request.filesystem == nil, let below = state.mounts.last(where: { $0.mountPoint == request.source }) {
        var entry = below
        entry.mountPoint = request.target
        entry.options = request.options.isReadOnly ? ["ro"] : ["rw"]
        state.mounts.append(entry)
        return nil
      }
      guard let disk = state.disks.first(where: { "/dev/\($0.name)" == request.source }) else {
        return SystemFailure("mount", code: ENODEV)
      }
      if let filesystem = request.filesystem {
        guard Self.filesystem(of: disk) == filesystem else { return SystemFailure("mount", code: EINVAL) }
        state.mounts.append(
          MountEntry(
            deviceNumber: filesystem == "btrfs" ? "0:40" : Self.number(disk), root: "/", mountPoint: request.target,
            options: request.options.isReadOnly ? ["ro"] : ["rw"], filesystem: filesystem, source: request.source,
            filesystemOptions: [request.options.isReadOnly ? "ro" : "rw"] + request.options.data))
      } else {
        state.mounts.append(
          MountEntry(
            deviceNumber: "0:5", root: "/\(disk.name)", mountPoint: request.target, options: request.options.isReadOnly ? ["ro"] : ["rw"],
            filesystem: "devtmpfs", source: "devtmpfs", filesystemOptions: ["rw"]))
        state.files[request.target] = .blockDevice(Self.number(disk))
      }
      return nil
    }
    if let failure { throw failure }
  }

  private static func filesystem(of disk: Disk) -> String? {
    let head = Array(disk.bytes.prefix(DeviceContents.windowBytes))
    if case .filesystem(let filesystem) = DeviceContents(head: head, tail: Array(disk.bytes.suffix(DeviceContents.windowBytes))) {
      return filesystem.kind.rawValue
    }
    return nil
  }

  func unmount(_ path: String) throws(SystemFailure) {
    let isMounted = with { state in
      guard let index = state.mounts.lastIndex(where: { $0.mountPoint == path }) else { return false }
      if state.mounts[index].filesystem == "devtmpfs" { state.files[path] = .file }
      state.mounts.remove(at: index)
      return true
    }
    if !isMounted { throw SystemFailure("unmount \(path)", code: EINVAL) }
  }

  func usage(ofFilesystemAt path: String) throws(SystemFailure) -> FilesystemUsage {
    FilesystemUsage(totalBytes: 1000, availableBytes: 600, usedBytes: 300, totalInodes: 50, availableInodes: 40)
  }

  func kind(of path: String) throws(SystemFailure) -> FileKind? {
    with { state in
      // As sysfs names devices: by their numbers.
      let isDisk = state.disks.contains { path == "/sys/dev/block/\(Self.number($0))" }
      return isDisk ? .other : state.files[path]
    }
  }
  func makeDirectory(_ path: String) throws(SystemFailure) { with { $0.files[path] = .directory } }
  func makeFile(_ path: String) throws(SystemFailure) { with { $0.files[path] = .file } }
  func remove(_ path: String) throws(SystemFailure) { with { $0.files[path] = nil } }

  func read(_ device: String, offsetBytes: UInt64, count: Int) throws(SystemFailure) -> [UInt8] {
    let bytes: [UInt8]? = with { state in
      state.disks.first { "/dev/\($0.name)" == device }.map { Array($0.bytes[Int(offsetBytes)..<Int(offsetBytes) + count]) }
    }
    guard let bytes else { throw SystemFailure("read \(device)", code: ENODEV) }
    return bytes
  }

  func write(_ device: String, offsetBytes: UInt64, _ bytes: [UInt8]) throws(SystemFailure) {
    with { state in
      guard let index = state.disks.firstIndex(where: { "/dev/\($0.name)" == device }) else { return }
      state.disks[index].bytes.replaceSubrange(Int(offsetBytes)..<Int(offsetBytes) + bytes.count, with: bytes)
    }
  }

  func run(_ program: String, _ arguments: [String], limitSeconds: Int) throws(SystemFailure) -> ProgramResult {
    let result: Result<ProgramResult, SystemFailure> = with { state in
      state.programs.append([program] + arguments)
      if state.missingPrograms.contains(program) { return .failure(SystemFailure("run \(program)", code: ENOENT)) }
      if state.failingPrograms.contains(program) { return .success(ProgramResult(status: 4, output: "it broke")) }
      if program.hasPrefix("mkfs."), let device = arguments.last,
        let index = state.disks.firstIndex(where: { "/dev/\($0.name)" == device })
      {
        let name = String(program.dropFirst(5))
        let uuid =
          arguments.first { $0.hasPrefix("uuid=") }?.dropFirst(5).description ?? arguments.dropFirst(arguments.firstIndex(of: "-U")!)
          .dropFirst().first!
        FakeFilesystems.write(name, uuid: uuid, sizeBytes: state.disks[index].bytes.count, into: &state.disks[index].bytes)
      }
      if program == "resize2fs", let index = state.disks.firstIndex(where: { "/dev/\($0.name)" == arguments.last }) {
        FakeFilesystems.write("ext4", uuid: nil, sizeBytes: state.disks[index].bytes.count, into: &state.disks[index].bytes)
      }
      return .success(ProgramResult(status: 0, output: ""))
    }
    return try result.get()
  }

  func pause(milliseconds: Int) {}
}

/// The fields of superblocks that are looked at.
enum FakeFilesystems {
  static func write(_ name: String, uuid: String?, sizeBytes: Int, into bytes: inout [UInt8]) {
    func put(_ value: UInt64, _ offset: Int, _ count: Int, isBig: Bool = false) {
      for index in 0..<count { bytes[offset + (isBig ? count - 1 - index : index)] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
    }
    let digits = uuid.map { Array($0.filter { $0 != "-" }) } ?? []
    let identifier = stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16)! }
    switch name {
    case "ext4":
      put(0xEF53, 1024 + 56, 2)
      put(0x40, 1024 + 96, 4)
      put(2, 1024 + 24, 4)
      put(UInt64(sizeBytes / 4096), 1024 + 4, 4)
      if !identifier.isEmpty { bytes.replaceSubrange(1128..<1144, with: identifier) }
    case "xfs":
      bytes.replaceSubrange(0..<4, with: Array("XFSB".utf8))
      put(4096, 4, 4, isBig: true)
      put(UInt64(sizeBytes / 4096), 8, 8, isBig: true)
      bytes.replaceSubrange(32..<48, with: identifier)
    default:
      bytes.replaceSubrange(0x10040..<0x10048, with: Array("_BHRfS_M".utf8))
      put(UInt64(sizeBytes), 0x10070, 8)
      bytes.replaceSubrange(0x10020..<0x10030, with: identifier)
    }
  }
}
