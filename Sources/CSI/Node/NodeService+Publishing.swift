import Control
import GRPC
import Glibc

/// Publishing: a staged volume bound to where a pod sees it.
extension NodeService {
  func publish(_ request: NodePublishVolumeRequest) throws(GRPCError) -> NodePublishVolumeResponse {
    try CSIRequests.require(request.volumeID, "volume_id")
    try CSIRequests.path(request.targetPath, "target_path")
    let capability = try RequestedCapability(request.volumeCapability)
    if request.stagingTargetPath.isEmpty {
      throw GRPCError(.failedPrecondition, "staging_target_path is missing, but volumes are staged before they are published")
    }
    try CSIRequests.path(request.stagingTargetPath, "staging_target_path")
    let volume = try CSIRequests.volumeID(request.volumeID)
    if let refusal = system.hostRefusal { throw GRPCError(.failedPrecondition, refusal) }
    guard let device = device(of: volume) else {
      throw GRPCError(.failedPrecondition, "volume \(volume) is not staged on this node: it has no block device")
    }
    let target = Self.withoutTrailingSlash(request.targetPath)
    var options = MountOptions()
    options.isReadOnly = request.isReadOnly || capability.isReadOnly
    let source: String
    switch capability.access {
    case .block:
      source = device.path
      if options.isReadOnly, !device.isReadOnly, !isSharedWithWriters(capability) {
        // Enforced by the target for the whole node where the controller was asked; the mount alone would not keep a program from writing.
        log("volume \(volume): published read-only as a block device at \(target)")
      }
    case .mount(_, let flags):
      source = Self.withoutTrailingSlash(request.stagingTargetPath)
      guard let staged = try mount(at: source), isMount(staged, of: device) else {
        throw GRPCError(.failedPrecondition, "volume \(volume) is not staged at \(source)")
      }
      let asked = MountOptions(flags)
      options.flags = asked.flags
      options.isReadOnly = options.isReadOnly || asked.isReadOnly
    }
    if let present = try mount(at: target) {
      try checkPublished(present, device, volume, capability, isReadOnly: options.isReadOnly)
      return NodePublishVolumeResponse()
    }
    if capability.mode == .singleNodeSingleWriter {
      // One pod on one node: nothing but the staging may be there already.
      let staging = Self.withoutTrailingSlash(request.stagingTargetPath)
      if let other = try mounts().first(where: { isMount($0, of: device) && $0.mountPoint != staging }) {
        throw GRPCError(.failedPrecondition, "volume \(volume) is published at \(other.mountPoint), and only one may have it")
      }
    }
    try makeTarget(target, isBlock: capability.access == .block)
    do throws(SystemFailure) {
      try system.mount(MountRequest(source: source, target: target, filesystem: nil, options: options))
    } catch {
      // A bind mount that could not be made read-only must not stay as it is.
      try? system.unmount(target)
      try? system.remove(target)
      throw GRPCError(.internalError, "\(error)")
    }
    return NodePublishVolumeResponse()
  }

  private func isSharedWithWriters(_ capability: RequestedCapability) -> Bool { capability.isMultiNode && !capability.isReadOnly }

  private func makeTarget(_ target: String, isBlock: Bool) throws(GRPCError) {
    do throws(SystemFailure) {
      switch (try system.kind(of: target), isBlock) {
      case (nil, true): try system.makeFile(target)
      case (nil, false): try system.makeDirectory(target)
      case (.file?, true), (.directory?, false): break
      default:
        throw SystemFailure("publish at \(target), where something else is", code: EEXIST)
      }
    } catch {
      throw GRPCError(.internalError, "\(error)")
    }
  }

  private func checkPublished(
    _ present: MountEntry, _ device: NVMeNamespace, _ volume: VolumeID, _ capability: RequestedCapability, isReadOnly: Bool
  ) throws(GRPCError) {
    let isBlock = (try? system.kind(of: present.mountPoint)) == .blockDevice(device.deviceNumber)
    if !isMount(present, of: device) || isBlock != (capability.access == .block) {
      throw GRPCError(.alreadyExists, "\(present.mountPoint) is a mount of \(present.source) already, not of volume \(volume) as asked")
    }
    if isReadOnly != present.isReadOnly, isReadOnly || !device.isReadOnly {
      throw GRPCError(
        .alreadyExists,
        "volume \(volume) is published at \(present.mountPoint) \(present.isReadOnly ? "read-only" : "read-write"), the other was asked for"
      )
    }
  }

  func unpublish(_ request: NodeUnpublishVolumeRequest) throws(GRPCError) -> NodeUnpublishVolumeResponse {
    try CSIRequests.require(request.volumeID, "volume_id")
    try CSIRequests.path(request.targetPath, "target_path")
    let target = Self.withoutTrailingSlash(request.targetPath)
    for _ in 0..<16 {
      guard try mount(at: target) != nil else { break }
      try step { () throws(SystemFailure) in try system.unmount(target) }
    }
    try step { () throws(SystemFailure) in
      if try system.kind(of: target) != nil { try system.remove(target) }
    }
    return NodeUnpublishVolumeResponse()
  }

  func expand(_ request: NodeExpandVolumeRequest) throws(GRPCError) -> NodeExpandVolumeResponse {
    try CSIRequests.require(request.volumeID, "volume_id")
    // Nothing is done to the path, so one that cannot be a mount of ours is just not found.
    try CSIRequests.require(request.volumePath, "volume_path")
    let volume = try CSIRequests.volumeID(request.volumeID)
    let wantedBytes = request.capacityRange?.requiredBytes ?? 0
    let limitBytes = request.capacityRange?.limitBytes ?? 0
    if wantedBytes < 0 || limitBytes < 0 { throw CSIRequests.invalid("capacity_range has a negative number in it") }
    if limitBytes > 0, limitBytes < wantedBytes {
      throw GRPCError(.outOfRange, "capacity_range: required_bytes \(wantedBytes) is more than limit_bytes \(limitBytes)")
    }
    guard var device = device(of: volume), let present = try mount(at: request.volumePath), isMount(present, of: device) else {
      throw GRPCError(.notFound, "volume \(volume) is not at \(request.volumePath)")
    }
    if limitBytes > 0, device.sizeBytes > UInt64(limitBytes) {
      throw GRPCError(
        .outOfRange, "volume \(volume) has \(device.sizeBytes) bytes already, more than limit_bytes, and volumes do not shrink")
    }
    for controller in system.controllers() where controller.subsystemNQN == device.subsystemNQN && controller.state == "live" {
      if device.sizeBytes >= UInt64(wantedBytes) { break }
      system.rescan(controller.name)
    }
    for attempt in 0..<options.deviceSeconds * 20 where device.sizeBytes < UInt64(wantedBytes) {
      if attempt > 0 { system.pause(milliseconds: 50) }
      device = self.device(of: volume) ?? device
    }
    if device.sizeBytes < UInt64(wantedBytes) {
      throw GRPCError(
        .unavailable, "volume \(volume) has \(device.sizeBytes) bytes here, \(wantedBytes) are wanted: the larger size has not come yet")
    }
    if let kind = FilesystemKind(rawValue: present.filesystem) {
      if present.filesystemOptions.contains("ro") {
        throw GRPCError(.failedPrecondition, "the filesystem at \(present.mountPoint) is mounted read-only and cannot grow")
      }
      try grow(kind, device, mountPoint: present.mountPoint)
    }
    var response = NodeExpandVolumeResponse()
    response.capacityBytes = Int64(clamping: device.sizeBytes)
    return response
  }

  func statistics(_ request: NodeGetVolumeStatsRequest) throws(GRPCError) -> NodeGetVolumeStatsResponse {
    try CSIRequests.require(request.volumeID, "volume_id")
    // Nothing is done to the path, so one that cannot be a mount of ours is just not found.
    try CSIRequests.require(request.volumePath, "volume_path")
    let volume = try CSIRequests.volumeID(request.volumeID)
    guard let device = device(of: volume), let present = try mount(at: request.volumePath), isMount(present, of: device) else {
      throw GRPCError(.notFound, "volume \(volume) is not at \(request.volumePath)")
    }
    var response = NodeGetVolumeStatsResponse()
    let condition = condition(of: device)
    response.volumeCondition = condition
    if FilesystemKind(rawValue: present.filesystem) == nil {
      var bytes = VolumeUsage()
      bytes.unit = .bytes
      bytes.total = Int64(clamping: device.sizeBytes)
      response.usage = [bytes]
      return response
    }
    do throws(SystemFailure) {
      let usage = try system.usage(ofFilesystemAt: request.volumePath)
      var bytes = VolumeUsage()
      bytes.unit = .bytes
      bytes.total = Int64(clamping: usage.totalBytes)
      bytes.available = Int64(clamping: usage.availableBytes)
      bytes.used = Int64(clamping: usage.usedBytes)
      response.usage = [bytes]
      if usage.totalInodes > 0 {
        var inodes = VolumeUsage()
        inodes.unit = .inodes
        inodes.total = Int64(clamping: usage.totalInodes)
        inodes.available = Int64(clamping: usage.availableInodes)
        inodes.used = Int64(clamping: usage.totalInodes - min(usage.totalInodes, usage.availableInodes))
        response.usage.append(inodes)
      }
    } catch {
      throw GRPCError(.internalError, "\(error)")
    }
    return response
  }

  /// What this machine can say of the volume's health.
  func condition(of device: NVMeNamespace) -> VolumeCondition {
    let paths = system.controllers().filter { $0.subsystemNQN == device.subsystemNQN }
    let live = paths.filter { $0.state == "live" }
    var condition = VolumeCondition()
    if live.isEmpty {
      condition.isAbnormal = true
      condition.message = "none of its \(paths.count) paths is connected: reading and writing wait"
    } else if live.count < paths.count {
      let lost = paths.filter { $0.state != "live" }.map { "\($0.transportAddress) port \($0.transportService) is \($0.state)" }
      condition.message = "\(live.count) of \(paths.count) paths are connected; \(lost.joined(separator: ", "))"
    } else {
      condition.message = "all \(paths.count) paths are connected"
    }
    return condition
  }
}
