import Control
import Foundation
import GRPC
import Testing

@testable import CSI

/// The node service's decisions, on a machine made up.
@Suite struct NodeServiceTests {
  let volume = VolumeID("11111111-2222-4333-8444-555555555555")!
  let staging = "/var/lib/kubelet/staging/globalmount"
  let target = "/var/lib/kubelet/pods/a/mount"
  let system = FakeSystem()
  let service: NodeService

  init() {
    let identity = NodeIdentity(name: "worker-1", hostID: "AAAAAAAA-0000-4000-8000-000000000001")!
    service = NodeService(
      NodeService.Options(identity: identity, topology: [CSINames.topologyZone: "a"]), system: system, log: { _ in })
    addDisk()
  }

  func addDisk(_ change: (inout FakeSystem.Disk) -> Void = { _ in }) {
    var disk = FakeSystem.Disk(
      name: "nvme0n1", nguid: PublishContext.nguid(of: volume), subsystemNQN: NQN.volume(volume),
      bytes: [UInt8](repeating: 0, count: 4 << 20))
    change(&disk)
    let added = disk
    system.with { $0.disks = [added] }
  }

  func capability(
    _ filesystem: String? = "ext4", _ mode: VolumeCapability.AccessMode.Mode = .singleNodeWriter, flags: [String] = []
  ) -> VolumeCapability {
    var capability = VolumeCapability()
    var access = VolumeCapability.AccessMode()
    access.mode = mode
    capability.accessMode = access
    if let filesystem {
      var mount = VolumeCapability.MountVolume()
      mount.fsType = filesystem
      mount.mountFlags = flags
      capability.mount = mount
    } else {
      capability.block = VolumeCapability.BlockVolume()
    }
    return capability
  }

  func stageRequest(_ capability: VolumeCapability? = nil, context change: (inout PublishContext) -> Void = { _ in })
    -> NodeStageVolumeRequest
  {
    var context = PublishContext(
      volume: volume, paths: [.init(traddr: "10.0.0.1", trsvcid: "4420"), .init(traddr: "fd00::2", trsvcid: "4421")])
    change(&context)
    var request = NodeStageVolumeRequest()
    request.volumeID = "\(volume)"
    request.stagingTargetPath = staging
    request.volumeCapability = capability ?? self.capability()
    request.publishContext = context.fields
    return request
  }

  func publishRequest(_ capability: VolumeCapability? = nil, isReadOnly: Bool = false) -> NodePublishVolumeRequest {
    var request = NodePublishVolumeRequest()
    request.volumeID = "\(volume)"
    request.stagingTargetPath = staging
    request.targetPath = target
    request.volumeCapability = capability ?? self.capability()
    request.isReadOnly = isReadOnly
    return request
  }

  func unstage() throws(GRPCError) {
    var request = NodeUnstageVolumeRequest()
    request.volumeID = "\(volume)"
    request.stagingTargetPath = staging
    _ = try service.unstage(request)
  }

  func unpublish() throws(GRPCError) {
    var request = NodeUnpublishVolumeRequest()
    request.volumeID = "\(volume)"
    request.targetPath = target
    _ = try service.unpublish(request)
  }

  func code(_ body: () throws -> Void) -> GRPCCode {
    do { try body() } catch { return (error as? GRPCError)?.code ?? .unknown }
    return .ok
  }

  @Test func `says who and where it is`() {
    #expect(service.info.nodeID == "worker-1@aaaaaaaa-0000-4000-8000-000000000001")
    #expect(
      service.info.accessibleTopology?.segments == [CSINames.topologyNode: "worker-1", CSINames.topologyZone: "a"])
    #expect(NodeService.capabilities.capabilities.compactMap(\.rpc?.type).contains(.stageUnstageVolume))
    #expect(!NodeService.capabilities.capabilities.compactMap(\.rpc?.type).contains(.volumeMountGroup))
  }

  @Test func `a life: stage, publish, unpublish, unstage, each twice`() throws {
    for _ in 0..<2 { _ = try service.stage(stageRequest()) }
    #expect(system.with { $0.mounts.map(\.mountPoint) } == [staging])
    #expect(system.with { $0.programs.map(\.first) } == ["mkfs.ext4"])
    let options = system.with { $0.connectOptions }
    let common =
      "hostnqn=nqn.2014-08.org.nvmexpress:uuid:aaaaaaaa-0000-4000-8000-000000000001,"
      + "hostid=aaaaaaaa-0000-4000-8000-000000000001,ctrl_loss_tmo=-1,reconnect_delay=1,keep_alive_tmo=2,nr_io_queues=4"
    #expect(options.count == 2)
    #expect(options.first == "nqn=\(NQN.volume(volume)),transport=tcp,traddr=10.0.0.1,trsvcid=4420,\(common)")
    #expect(options.last == "nqn=\(NQN.volume(volume)),transport=tcp,traddr=fd00::2,trsvcid=4421,\(common)")
    for _ in 0..<2 { _ = try service.publish(publishRequest()) }
    #expect(system.with { $0.mounts.map(\.mountPoint) } == [staging, target])
    #expect(code { try unstage() } == .failedPrecondition)
    for _ in 0..<2 { try unpublish() }
    #expect(try system.kind(of: target) == nil)
    for _ in 0..<2 { try unstage() }
    #expect(system.with { $0.mounts.isEmpty && $0.controllers.isEmpty })
  }

  @Test func `the second staging mounts what the first one made, after a check`() throws {
    _ = try service.stage(stageRequest())
    try unstage()
    _ = try service.stage(stageRequest())
    #expect(system.with { $0.programs.map(\.first) } == ["mkfs.ext4", "e2fsck"])
  }

  @Test func `a raw block volume is bound as a device`() throws {
    let block = capability(nil)
    for _ in 0..<2 { _ = try service.stage(stageRequest(block)) }
    for _ in 0..<2 { _ = try service.publish(publishRequest(block)) }
    #expect(system.with { $0.mounts.map(\.root) } == ["/nvme0n1"])
    #expect(system.with { $0.programs.isEmpty })
    #expect(code { try unstage() } == .failedPrecondition)
    var request = NodeGetVolumeStatsRequest()
    request.volumeID = "\(volume)"
    request.volumePath = target
    #expect(try service.statistics(request).usage.map(\.total) == [4 << 20])
    try unpublish()
    try unstage()
    #expect(system.with { $0.controllers.isEmpty })
  }

  @Test func `arguments come before what the kernel lacks`() {
    system.with { $0.hostRefusal = "kernel has no nvme-tcp host: modprobe nvme_tcp" }
    var request = stageRequest()
    request.volumeCapability = nil
    #expect(code { _ = try service.stage(request) } == .invalidArgument)
    request = stageRequest()
    request.stagingTargetPath = ""
    #expect(code { _ = try service.stage(request) } == .invalidArgument)
    request = stageRequest()
    request.stagingTargetPath = "/a/../etc"
    #expect(code { _ = try service.stage(request) } == .invalidArgument)
    request = stageRequest()
    request.volumeID = ""
    #expect(code { _ = try service.stage(request) } == .invalidArgument)
    request.volumeID = "somebody-elses"
    #expect(code { _ = try service.stage(request) } == .notFound)
    request = stageRequest()
    request.publishContext["nguid"] = "00"
    #expect(code { _ = try service.stage(request) } == .invalidArgument)
    request = stageRequest()
    request.publishContext["path0"] = "10.0.0.1,hostnqn=x:4420"
    #expect(code { _ = try service.stage(request) } == .invalidArgument)
    #expect(code { _ = try service.stage(stageRequest(capability("ext4", .multiNodeMultiWriter))) } == .invalidArgument)
    #expect(code { _ = try service.stage(stageRequest(capability("zfs"))) } == .invalidArgument)
    #expect(throws: GRPCError(.failedPrecondition, "kernel has no nvme-tcp host: modprobe nvme_tcp")) {
      try service.stage(stageRequest())
    }
  }

  @Test func `one path is enough, none is not`() throws {
    system.with { $0.refusing = ["10.0.0.1:4420"] }
    _ = try service.stage(stageRequest(capability(nil)))
    try unstage()
    system.with { $0.refusing = ["10.0.0.1:4420", "fd00::2:4421"] }
    #expect(code { _ = try service.stage(stageRequest(capability(nil))) } == .unavailable)
  }

  @Test(arguments: [0, 510, 70_000, (1 << 20) - 1, (4 << 20) - 1])
  func `what holds anything is not formatted`(_ offset: Int) {
    addDisk { $0.bytes[offset] = 0x55 }
    #expect(code { _ = try service.stage(stageRequest()) } == .failedPrecondition)
    #expect(system.with { $0.programs.isEmpty && $0.mounts.isEmpty })
  }

  @Test func `another filesystem than the one asked for is left alone`() {
    let size = 4 << 20
    addDisk { FakeFilesystems.write("xfs", uuid: "\(volume)", sizeBytes: size, into: &$0.bytes) }
    #expect(code { _ = try service.stage(stageRequest()) } == .failedPrecondition)
    #expect(code { _ = try service.stage(stageRequest(capability(""))) } == .ok)
    #expect(system.with { $0.mounts.first?.filesystem } == "xfs")
  }

  @Test func `an interrupted formatting begins again, and leaves no mark`() throws {
    system.with { $0.failingPrograms = ["mkfs.ext4"] }
    #expect(code { _ = try service.stage(stageRequest()) } == .internalError)
    // What mkfs may have written before it died.
    system.with { $0.disks[0].bytes[40_000] = 7 }
    system.with { $0.failingPrograms = [] }
    _ = try service.stage(stageRequest())
    #expect(system.with { !FormatMarker.isPresent(tail: Array($0.disks[0].bytes.suffix(1 << 20))) })
  }

  @Test func `a missing program is named`() {
    system.with { $0.missingPrograms = ["mkfs.ext4"] }
    #expect(throws: GRPCError(.failedPrecondition, "mkfs.ext4 is not installed on this node")) { try service.stage(stageRequest()) }
  }

  @Test func `damage that is not mended is told`() {
    addDisk { FakeFilesystems.write("ext4", uuid: "\(volume)", sizeBytes: 4 << 20, into: &$0.bytes) }
    system.with { $0.failingPrograms = ["e2fsck"] }
    #expect(code { _ = try service.stage(stageRequest()) } == .internalError)
    #expect(system.with { $0.mounts.isEmpty })
  }

  @Test func `read-only is mounted without its journal, and never formatted or checked`() throws {
    #expect(code { _ = try service.stage(stageRequest(capability("ext4", .multiNodeReaderOnly))) } == .failedPrecondition)
    addDisk { FakeFilesystems.write("ext4", uuid: "\(volume)", sizeBytes: 2 << 20, into: &$0.bytes) }
    _ = try service.stage(stageRequest(capability("ext4"), context: { $0.isReadOnly = true }))
    #expect(system.with { $0.mounts[0].filesystemOptions } == ["ro", "noload"])
    #expect(system.with { $0.programs.isEmpty })
    #expect(code { _ = try service.stage(stageRequest()) } == .alreadyExists)
  }

  @Test func `a copy of xfs gets a UUID of its own`() throws {
    addDisk { FakeFilesystems.write("xfs", uuid: "99999999-2222-4333-8444-555555555555", sizeBytes: 4 << 20, into: &$0.bytes) }
    var request = stageRequest(capability("xfs"))
    request.volumeContext = ["source": "snapshot"]
    _ = try service.stage(request)
    #expect(system.with { $0.programs } == [["xfs_admin", "-U", "\(volume)", "/dev/nvme0n1"]])
  }

  @Test func `a filesystem smaller than its device grows when it is staged`() throws {
    addDisk { FakeFilesystems.write("ext4", uuid: "\(volume)", sizeBytes: 2 << 20, into: &$0.bytes) }
    _ = try service.stage(stageRequest())
    #expect(system.with { $0.programs.map(\.first) } == ["e2fsck", "resize2fs"])
  }

  @Test func `it grows while it is mounted`() throws {
    _ = try service.stage(stageRequest())
    _ = try service.publish(publishRequest())
    system.with {
      $0.grown = ["nvme0n1": 8 << 20]
      $0.programs = []
    }
    var request = NodeExpandVolumeRequest()
    request.volumeID = "\(volume)"
    request.volumePath = target
    var range = CapacityRange()
    range.requiredBytes = 8 << 20
    request.capacityRange = range
    for _ in 0..<2 { #expect(try service.expand(request).capacityBytes == 8 << 20) }
    #expect(system.with { $0.programs } == [["resize2fs", "/dev/nvme0n1"]])
    request.capacityRange?.requiredBytes = 16 << 20
    #expect(code { _ = try service.expand(request) } == .unavailable)
    request.capacityRange?.limitBytes = 12 << 20
    #expect(code { _ = try service.expand(request) } == .outOfRange)
    request.capacityRange?.requiredBytes = 0
    request.capacityRange?.limitBytes = 7 << 20
    #expect(code { _ = try service.expand(request) } == .outOfRange)
    request.capacityRange?.limitBytes = -1
    #expect(code { _ = try service.expand(request) } == .invalidArgument)
    request.capacityRange = nil
    request.volumePath = "/elsewhere"
    #expect(code { _ = try service.expand(request) } == .notFound)
    request.volumePath = ""
    #expect(code { _ = try service.expand(request) } == .invalidArgument)
  }

  @Test func `publishing checks what is there`() throws {
    #expect(code { _ = try service.publish(publishRequest()) } == .failedPrecondition)
    _ = try service.stage(stageRequest())
    var request = publishRequest()
    request.stagingTargetPath = ""
    #expect(code { _ = try service.publish(request) } == .failedPrecondition)
    request = publishRequest()
    request.targetPath = ""
    #expect(code { _ = try service.publish(request) } == .invalidArgument)
    request = publishRequest()
    request.stagingTargetPath = "/not/staged/here"
    #expect(code { _ = try service.publish(request) } == .failedPrecondition)
    _ = try service.publish(publishRequest(isReadOnly: true))
    #expect(system.with { $0.mounts.last?.isReadOnly } == true)
    #expect(code { _ = try service.publish(publishRequest()) } == .alreadyExists)
    #expect(code { _ = try service.publish(publishRequest(capability(nil))) } == .alreadyExists)
    #expect(code { _ = try service.publish(publishRequest(isReadOnly: true)) } == .ok)
  }

  @Test func `a single writer's volume is at one place, others may be at several`() throws {
    let single = capability("ext4", .singleNodeSingleWriter)
    _ = try service.stage(stageRequest(single))
    for _ in 0..<2 { _ = try service.publish(publishRequest(single)) }
    var request = publishRequest(single)
    request.targetPath = "/var/lib/kubelet/pods/b/mount"
    #expect(code { _ = try service.publish(request) } == .failedPrecondition)
    request.volumeCapability = capability("ext4", .singleNodeMultiWriter)
    #expect(code { _ = try service.publish(request) } == .ok)
  }

  @Test func `unstaging and unpublishing what is not there, and what is not said`() throws {
    #expect(code { try unstage() } == .ok)
    #expect(code { try unpublish() } == .ok)
    #expect(code { _ = try service.unstage(NodeUnstageVolumeRequest()) } == .invalidArgument)
    #expect(code { _ = try service.unpublish(NodeUnpublishVolumeRequest()) } == .invalidArgument)
    var request = NodeUnstageVolumeRequest()
    request.volumeID = "\(volume)"
    #expect(code { _ = try service.unstage(request) } == .invalidArgument)
    request.stagingTargetPath = "relative"
    #expect(code { _ = try service.unstage(request) } == .invalidArgument)
    var other = NodeUnpublishVolumeRequest()
    other.volumeID = "\(volume)"
    #expect(code { _ = try service.unpublish(other) } == .invalidArgument)
    other.volumeID = "foreign"
    other.targetPath = target
    #expect(code { _ = try service.unpublish(other) } == .ok)
    var publish = publishRequest()
    publish.volumeID = "foreign"
    #expect(code { _ = try service.publish(publish) } == .notFound)
    publish.volumeCapability = nil
    #expect(code { _ = try service.publish(publish) } == .invalidArgument)
  }

  /// "Operation pending for volume": of one volume one at a time, of others at the same time.
  @Test func `a second operation on a volume is ABORTED`() async throws {
    let operations = ExclusiveOperations()
    let (began, goOn) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    let key = NodeService.key("\(volume)")
    let first = Task {
      try await operations.run(key) {
        began.signal()
        goOn.wait()
        return 1
      }
    }
    await withCheckedContinuation { continuation in
      Thread.detachNewThread {
        began.wait()
        continuation.resume()
      }
    }
    await #expect(throws: GRPCError(.aborted, "an operation on \(key) is still under way")) { try await operations.run(key) { 2 } }
    #expect(try await operations.run(NodeService.key("another")) { 3 } == 3)
    goOn.signal()
    #expect(try await first.value == 1)
    #expect(try await operations.run(key) { 4 } == 4)
  }

  @Test func `statistics tell bytes, inodes and condition`() throws {
    _ = try service.stage(stageRequest())
    var request = NodeGetVolumeStatsRequest()
    request.volumeID = "\(volume)"
    request.volumePath = staging
    let response = try service.statistics(request)
    #expect(response.usage.map(\.total) == [1000, 50])
    #expect(response.usage.map(\.used) == [300, 10])
    #expect(response.volumeCondition?.isAbnormal == false)
    system.with { for index in $0.controllers.indices { $0.controllers[index].state = "connecting" } }
    #expect(try service.statistics(request).volumeCondition?.isAbnormal == true)
    for path in ["/some/other", "some/path"] {
      request.volumePath = path
      #expect(code { _ = try service.statistics(request) } == .notFound)
    }
    request.volumeID = "foreign"
    #expect(code { _ = try service.statistics(request) } == .notFound)
    request.volumePath = ""
    #expect(code { _ = try service.statistics(request) } == .invalidArgument)
  }

  @Test func `what another volume's mount covers is not touched`() throws {
    system.with {
      $0.mounts.append(
        MountEntry(
          deviceNumber: "8:1", root: "/", mountPoint: "/var/lib/kubelet/staging/globalmount", options: ["rw"], filesystem: "ext4",
          source: "/dev/sda1", filesystemOptions: ["rw"]))
    }
    #expect(code { _ = try service.stage(stageRequest()) } == .alreadyExists)
    #expect(code { try unstage() } == .failedPrecondition)
    #expect(system.with { $0.mounts.count } == 1)
  }
}
