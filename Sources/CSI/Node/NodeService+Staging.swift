import Control
import GRPC
import Glibc

/// Staging: connected, checked, formatted where it is empty, mounted once for all pods of the machine.
extension NodeService {
  func stage(_ request: NodeStageVolumeRequest) throws(GRPCError) -> NodeStageVolumeResponse {
    try CSIRequests.require(request.volumeID, "volume_id")
    try CSIRequests.path(request.stagingTargetPath, "staging_target_path")
    let capability = try RequestedCapability(request.volumeCapability)
    let volume = try CSIRequests.volumeID(request.volumeID)
    let context: PublishContext
    do throws(PublishContext.Malformed) {
      context = try PublishContext(request.publishContext, of: volume)
    } catch {
      throw CSIRequests.invalid("\(error)")
    }
    let formatOptions = try Self.formatOptions(request.volumeContext)
    if let refusal = system.hostRefusal { throw GRPCError(.failedPrecondition, refusal) }

    try connect(context)
    let device = try awaitDevice(of: volume)
    guard case .mount(let filesystem, let flags) = capability.access else { return NodeStageVolumeResponse() }
    var mountOptions = MountOptions(flags)
    mountOptions.isReadOnly = mountOptions.isReadOnly || capability.isReadOnly || context.isReadOnly || device.isReadOnly
    let path = Self.withoutTrailingSlash(request.stagingTargetPath)
    while let stale = try mount(at: path), isStale(stale) { try step { () throws(SystemFailure) in try system.unmount(path) } }
    if let present = try mount(at: path) {
      try checkStaged(present, device, volume, filesystem, isReadOnly: mountOptions.isReadOnly)
      // An earlier call may have ended between mounting and growing.
      if !mountOptions.isReadOnly, let kind = FilesystemKind(rawValue: present.filesystem) { try grow(kind, device, mountPoint: path) }
    } else {
      let staging = Staging(
        volume: volume, device: device, path: path, options: mountOptions, formatOptions: formatOptions,
        isCopy: request.volumeContext["source"] != nil)
      try mountFilesystem(staging, wanted: filesystem)
    }
    return NodeStageVolumeResponse()
  }

  /// What is mounted already must be what is asked for (error table of NodeStageVolume: ALREADY_EXISTS).
  private func checkStaged(
    _ present: MountEntry, _ device: NVMeNamespace, _ volume: VolumeID, _ filesystem: FilesystemKind?, isReadOnly: Bool
  ) throws(GRPCError) {
    if !isMount(present, of: device) {
      throw GRPCError(.alreadyExists, "\(present.mountPoint) is a mount of \(present.source), not of volume \(volume)")
    }
    if let filesystem, filesystem.rawValue != present.filesystem {
      throw GRPCError(
        .alreadyExists, "volume \(volume) is staged at \(present.mountPoint) as \(present.filesystem), not \(filesystem.rawValue)")
    }
    if present.isReadOnly != isReadOnly {
      throw GRPCError(
        .alreadyExists,
        "volume \(volume) is staged at \(present.mountPoint) \(present.isReadOnly ? "read-only" : "read-write"), the other was asked for")
    }
  }

  /// `formatOptions` of the StorageClass: words for the program that makes filesystems.
  static func formatOptions(_ context: [String: String]) throws(GRPCError) -> [String] {
    (context["formatOptions"] ?? "").split(separator: " ").map(String.init)
  }

  private struct Staging {
    var volume: VolumeID
    var device: NVMeNamespace
    var path: String
    var options: MountOptions
    var formatOptions: [String]
    /// Made from a snapshot or another volume, whose filesystem may be mounted on this machine too.
    var isCopy: Bool
  }

  private func mountFilesystem(_ staging: Staging, wanted: FilesystemKind?) throws(GRPCError) {
    let (device, volume) = (staging.device, staging.volume)
    var kind = wanted ?? .standard
    var options = staging.options
    var isCheckNeeded = false
    let contents = try contents(of: device)
    switch contents {
    case .other(let what):
      throw GRPCError(.failedPrecondition, "volume \(volume) holds \(what); it is neither mounted nor formatted")
    case .empty, .unfinished:
      if options.isReadOnly {
        throw GRPCError(.failedPrecondition, "volume \(volume) holds no filesystem, and read-only none can be made")
      }
      try format(device, volume, as: kind, staging.formatOptions)
    case .filesystem(let filesystem):
      if let wanted, wanted != filesystem.kind {
        throw GRPCError(
          .failedPrecondition, "volume \(volume) holds \(filesystem.kind.rawValue), but \(wanted.rawValue) was asked for")
      }
      kind = filesystem.kind
      isCheckNeeded = !options.isReadOnly
      let isTwin = staging.isCopy && filesystem.uuid != Self.bytes(of: volume)
      if !options.isReadOnly, isTwin || filesystem.isRenameUnfinished { try rename(staging, kind) }
    }
    if options.isReadOnly { options.data += kind.optionsWithoutReplay }
    if isCheckNeeded, let program = kind.checking(device.path) {
      let result = try run(program, limitSeconds: 3600)
      if !kind.isWell(result.status) {
        throw GRPCError(
          .internalError, "\(program.name) finds damage in volume \(volume) that it does not mend by itself: \(result.output)")
      }
    }
    try step { () throws(SystemFailure) in try system.makeDirectory(staging.path) }
    try step { () throws(SystemFailure) in
      try system.mount(MountRequest(source: device.path, target: staging.path, filesystem: kind.rawValue, options: options))
    }
    if !options.isReadOnly, isCheckNeeded { try grow(kind, device, mountPoint: staging.path) }
  }

  /// Looks at both ends of the device.
  func contents(of device: NVMeNamespace) throws(GRPCError) -> DeviceContents {
    let count = Int(min(device.sizeBytes, UInt64(DeviceContents.windowBytes)))
    do throws(SystemFailure) {
      return DeviceContents(
        head: try system.read(device.path, offsetBytes: 0, count: count),
        tail: try system.read(device.path, offsetBytes: device.sizeBytes - UInt64(count), count: count))
    } catch {
      throw GRPCError(.internalError, "\(error)")
    }
  }

  private func format(_ device: NVMeNamespace, _ volume: VolumeID, as kind: FilesystemKind, _ options: [String]) throws(GRPCError) {
    if device.sizeBytes < kind.minimumBytes {
      throw GRPCError(
        .failedPrecondition, "volume \(volume) is too small for \(kind.rawValue), which takes \(kind.minimumBytes >> 20) MiB at least")
    }
    let offset = FormatMarker.offsetBytes(deviceBytes: device.sizeBytes)
    try step { () throws(SystemFailure) in try system.write(device.path, offsetBytes: offset, FormatMarker.bytes) }
    log("volume \(volume): formatting \(device.path) as \(kind.rawValue)")
    let program = kind.formatting(device.path, uuid: "\(volume)", options: options)
    let result = try run(program, limitSeconds: 3600)
    if result.status != 0 {
      throw GRPCError(.internalError, "\(program.name) failed on volume \(volume) with status \(result.status): \(result.output)")
    }
    // mkfs.btrfs may have used the place for data of its own: then there is nothing of ours to remove.
    if FormatMarker.isPresent(tail: try tail(of: device)) {
      try step { () throws(SystemFailure) in try system.write(device.path, offsetBytes: offset, FormatMarker.blank) }
    }
  }

  private func tail(of device: NVMeNamespace) throws(GRPCError) -> [UInt8] {
    let count = Int(min(device.sizeBytes, UInt64(DeviceContents.windowBytes)))
    do throws(SystemFailure) {
      return try system.read(device.path, offsetBytes: device.sizeBytes - UInt64(count), count: count)
    } catch {
      throw GRPCError(.internalError, "\(error)")
    }
  }

  /// Gives a copy's filesystem the volume's own UUID: xfs and btrfs refuse to be mounted beside their twin. The copy may be as of a moment
  /// in the middle of things, so its journal is replayed first, by a mount that does not mind the twin.
  private func rename(_ staging: Staging, _ kind: FilesystemKind) throws(GRPCError) {
    guard let program = kind.renaming(staging.device.path, uuid: "\(staging.volume)") else { return }
    if kind == .xfs {
      var options = MountOptions()
      options.data = ["nouuid"]
      try step { () throws(SystemFailure) in try system.makeDirectory(staging.path) }
      try step { () throws(SystemFailure) in
        try system.mount(
          MountRequest(source: staging.device.path, target: staging.path, filesystem: kind.rawValue, options: options))
        try system.unmount(staging.path)
      }
    }
    let result = try run(program, limitSeconds: 3600)
    if result.status != 0 {
      throw GRPCError(
        .internalError, "\(program.name) could not give the copy in volume \(staging.volume) a UUID of its own: \(result.output)")
    }
  }

  /// Lets the filesystem take all of its device; one that does already is left as it is.
  func grow(_ kind: FilesystemKind, _ device: NVMeNamespace, mountPoint: String) throws(GRPCError) {
    if case .filesystem(let filesystem) = try contents(of: device), filesystem.sizeBytes >= device.sizeBytes { return }
    let program = kind.growing(device.path, mountPoint: mountPoint)
    let result = try run(program, limitSeconds: 3600)
    if result.status != 0 {
      throw GRPCError(.internalError, "\(program.name) could not grow the filesystem at \(mountPoint): \(result.output)")
    }
  }

  func run(_ program: FilesystemKind.Program, limitSeconds: Int) throws(GRPCError) -> ProgramResult {
    do throws(SystemFailure) {
      return try system.run(program.name, program.arguments, limitSeconds: limitSeconds)
    } catch {
      if error.code == ENOENT { throw GRPCError(.failedPrecondition, "\(program.name) is not installed on this node") }
      throw GRPCError(.internalError, "\(error)")
    }
  }

  private static func bytes(of volume: VolumeID) -> [UInt8] {
    let digits = Array(PublishContext.nguid(of: volume))
    return stride(from: 0, to: digits.count, by: 2).compactMap { UInt8(String(digits[$0...$0 + 1]), radix: 16) }
  }

  func unstage(_ request: NodeUnstageVolumeRequest) throws(GRPCError) -> NodeUnstageVolumeResponse {
    try CSIRequests.require(request.volumeID, "volume_id")
    try CSIRequests.path(request.stagingTargetPath, "staging_target_path")
    let path = Self.withoutTrailingSlash(request.stagingTargetPath)
    // An id of nobody's has nothing here.
    guard let volume = VolumeID(request.volumeID) else { return NodeUnstageVolumeResponse() }
    let device = device(of: volume)
    if let device {
      let elsewhere = try mounts().first { isMount($0, of: device) && $0.mountPoint != path }
      if let elsewhere {
        throw GRPCError(.failedPrecondition, "volume \(volume) is still published at \(elsewhere.mountPoint); unpublish it there first")
      }
    }
    for _ in 0..<16 {
      guard let present = try mount(at: path) else { break }
      if let device, !isMount(present, of: device), !isStale(present) {
        throw GRPCError(.failedPrecondition, "\(path) is a mount of \(present.source), not of volume \(volume)")
      }
      try step { () throws(SystemFailure) in try system.unmount(path) }
    }
    try disconnect(volume)
    return NodeUnstageVolumeResponse()
  }
}
