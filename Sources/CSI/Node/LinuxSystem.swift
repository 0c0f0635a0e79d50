import CLinux
import Glibc

/// The machine as it is: sysfs, the fabrics device, mount(2), and programs. Paths of the kernel's are given so that tests can lay out others.
public struct LinuxSystem: NodeSystem {
  let sysfs: String
  let fabricsDevice: String
  let mountInformation: String

  public init(sysfs: String = "/sys", fabricsDevice: String = "/dev/nvme-fabrics", mountInformation: String = "/proc/self/mountinfo") {
    self.sysfs = sysfs
    self.fabricsDevice = fabricsDevice
    self.mountInformation = mountInformation
  }

  // MARK: The kernel's NVMe host

  public var hostRefusal: String? {
    // The transport's module is loaded by its name when the device is written to, but only where module loading is allowed.
    guard unsafe access(fabricsDevice, F_OK) == 0, unsafe access("\(sysfs)/module/nvme_tcp", F_OK) == 0 else {
      return "kernel has no nvme-tcp host: modprobe nvme_tcp"
    }
    let multipath = "\(sysfs)/module/nvme_core/parameters/multipath"
    if Self.text(multipath) == "N" {
      return "the kernel's NVMe multipath is off, and a volume has several paths: boot with nvme_core.multipath=Y"
    }
    return nil
  }

  public var processorCount: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

  public func connect(_ options: String) throws(SystemFailure) {
    let action = "connect through \(fabricsDevice)"
    let descriptor = unsafe keelson_open(fabricsDevice, O_RDWR | O_CLOEXEC, 0)
    guard descriptor >= 0 else { throw SystemFailure("open \(fabricsDevice)", code: -descriptor) }
    defer { close(descriptor) }
    let bytes = Array(options.utf8)
    if unsafe Glibc.write(descriptor, bytes, bytes.count) != bytes.count { throw SystemFailure(action, code: errno) }
    // The device answers only when the connection is made.
    var answer = [UInt8](repeating: 0, count: 256)
    if unsafe Glibc.read(descriptor, &answer, answer.count) < 0 { throw SystemFailure(action, code: errno) }
  }

  public func controllers() -> [NVMeController] {
    let folder = "\(sysfs)/class/nvme"
    return Self.entries(of: folder).compactMap { name in
      guard let state = Self.text("\(folder)/\(name)/state"), Self.text("\(folder)/\(name)/transport") == "tcp",
        let subsystem = Self.text("\(folder)/\(name)/subsysnqn")
      else { return nil }
      let address = Self.fields(of: Self.text("\(folder)/\(name)/address") ?? "")
      // Kernel, drivers/nvme/host/sysfs.c: seconds or "off"; the admin queue is counted too.
      func number(_ attribute: String) -> Int? { Self.text("\(folder)/\(name)/\(attribute)").flatMap { $0 == "off" ? -1 : Int($0) } }
      return NVMeController(
        name: name, subsystemNQN: subsystem, hostNQN: Self.text("\(folder)/\(name)/hostnqn") ?? "",
        transportAddress: address["traddr"] ?? "", transportService: address["trsvcid"] ?? "", state: state,
        controllerLossSeconds: number("ctrl_loss_tmo"), keepAliveSeconds: number("kato"),
        ioQueues: number("queue_count").flatMap { $0 > 1 ? $0 - 1 : nil })
    }
  }

  public func namespaces() -> [NVMeNamespace] {
    let folder = "\(sysfs)/class/block"
    return Self.entries(of: folder).compactMap { name in
      guard Self.isNamespaceName(name), Self.text("\(folder)/\(name)/hidden") != "1",
        let sectors = Self.text("\(folder)/\(name)/size").flatMap({ UInt64($0) }),
        let guid = Self.text("\(folder)/\(name)/nguid") ?? Self.text("\(folder)/\(name)/uuid"),
        let number = Self.text("\(folder)/\(name)/dev"), let subsystem = Self.text("\(folder)/\(name)/device/subsysnqn")
      else { return nil }
      return NVMeNamespace(
        name: name, nguid: guid.lowercased().filter { $0 != "-" }, subsystemNQN: subsystem, deviceNumber: number,
        sizeBytes: sectors.multipliedReportingOverflow(by: 512).partialValue, isReadOnly: Self.text("\(folder)/\(name)/ro") == "1")
    }
  }

  public func disconnect(_ controller: String) throws(SystemFailure) {
    try Self.put("1", at: "\(sysfs)/class/nvme/\(controller)/delete_controller", action: "disconnect \(controller)")
  }

  public func rescan(_ controller: String) {
    try? Self.put("1", at: "\(sysfs)/class/nvme/\(controller)/rescan_controller", action: "rescan \(controller)")
  }

  /// `nvme0n1`; not `nvme0c1n1`, which is one path, and not `nvme0n1p1`.
  static func isNamespaceName(_ name: String) -> Bool {
    guard name.hasPrefix("nvme"), let separator = name.dropFirst(4).firstIndex(of: "n") else { return false }
    let (first, second) = (name.dropFirst(4)[..<separator], name[name.index(after: separator)...])
    return !first.isEmpty && !second.isEmpty && (first + second).utf8.allSatisfy { (48...57).contains($0) }
  }

  /// `traddr=10.0.0.1,trsvcid=4420,src_addr=…`.
  static func fields(of address: String) -> [String: String] {
    var fields: [String: String] = [:]
    for part in address.split(separator: ",") {
      let pair = part.split(separator: "=", maxSplits: 1)
      if pair.count == 2 { fields[String(pair[0])] = String(pair[1]) }
    }
    return fields
  }

  public func pause(milliseconds: Int) { usleep(UInt32(milliseconds) * 1000) }
}

/// Small files of the kernel's.
extension LinuxSystem {
  /// The text without the line's end; nil if it cannot be read.
  static func text(_ path: String) -> String? {
    guard let bytes = try? bytes(path, maximumCount: 4096) else { return nil }
    var text = String(decoding: bytes, as: UTF8.self)
    while text.last?.isWhitespace == true { text.removeLast() }
    return text
  }

  static func bytes(_ path: String, maximumCount: Int) throws(SystemFailure) -> [UInt8] {
    let descriptor = unsafe keelson_open(path, O_RDONLY | O_CLOEXEC, 0)
    guard descriptor >= 0 else { throw SystemFailure("open \(path)", code: -descriptor) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 16 << 10)
    while bytes.count < maximumCount {
      let count = unsafe Glibc.read(descriptor, &part, min(part.count, maximumCount - bytes.count))
      if count < 0 { throw SystemFailure("read \(path)", code: errno) }
      if count == 0 { break }
      bytes += part[..<count]
    }
    return bytes
  }

  static func put(_ text: String, at path: String, action: String) throws(SystemFailure) {
    let descriptor = unsafe keelson_open(path, O_WRONLY | O_CLOEXEC, 0)
    guard descriptor >= 0 else { throw SystemFailure(action, code: -descriptor) }
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    if unsafe Glibc.write(descriptor, bytes, bytes.count) != bytes.count { throw SystemFailure(action, code: errno) }
  }

  /// Names in a folder, in order; none if it cannot be read.
  static func entries(of folder: String) -> [String] {
    guard let stream = unsafe opendir(folder) else { return [] }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
  }
}
