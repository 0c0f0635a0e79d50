import Control
import GRPC
import Glibc

/// Connecting to a volume, finding its device, and letting go of it.
extension NodeService {
  /// Connects every path that is not connected yet. One is enough; what is wrong with the others is logged, and they are tried again
  /// by whoever follows paths.
  func connect(_ context: PublishContext) throws(GRPCError) {
    let known = system.controllers().filter { $0.subsystemNQN == context.subsystemNQN && !$0.state.hasPrefix("deleting") }
    var isConnected = !known.isEmpty
    var failures: [String] = []
    for path in context.paths where !known.contains(where: { $0.isPath(path) }) {
      do throws(SystemFailure) {
        try system.connect(fabricsOptions(context, path))
        isConnected = true
      } catch {
        if error.code == EALREADY {
          isConnected = true
          continue
        }
        failures.append("\(path.traddr) port \(path.trsvcid): \(error)")
      }
    }
    for failure in failures { log("\(context.subsystemNQN): \(failure)") }
    if !isConnected {
      throw GRPCError(.unavailable, "no path to \(context.subsystemNQN) could be connected: \(failures.joined(separator: "; "))")
    }
  }

  /// The option string of the fabrics device (kernel, drivers/nvme/host/fabrics.c).
  func fabricsOptions(_ context: PublishContext, _ path: PublishContext.Path) -> String {
    [
      "nqn=\(context.subsystemNQN)", "transport=tcp", "traddr=\(path.traddr)", "trsvcid=\(path.trsvcid)",
      "hostnqn=\(options.identity.hostNQN)", "hostid=\(options.identity.hostID)",
      "ctrl_loss_tmo=\(context.controllerLossSeconds ?? -1)", "reconnect_delay=1",
      "keep_alive_tmo=\(context.keepAliveSeconds ?? 2)",
      "nr_io_queues=\(context.ioQueues ?? min(4, system.processorCount))",
    ].joined(separator: ",")
  }

  /// The volume's block device, nil while the kernel has none.
  func device(of volume: VolumeID) -> NVMeNamespace? {
    let nguid = PublishContext.nguid(of: volume)
    return system.namespaces().first { $0.nguid == nguid && $0.subsystemNQN == NQN.volume(volume) }
  }

  func awaitDevice(of volume: VolumeID) throws(GRPCError) -> NVMeNamespace {
    for attempt in 0..<options.deviceSeconds * 20 {
      if attempt > 0 { system.pause(milliseconds: 50) }
      if let device = device(of: volume), device.sizeBytes > 0, case .blockDevice? = try? system.kind(of: device.path) { return device }
    }
    let states = system.controllers().filter { $0.subsystemNQN == NQN.volume(volume) }
      .map { "\($0.transportAddress) port \($0.transportService) is \($0.state)" }
    throw GRPCError(
      .unavailable,
      "volume \(volume) has no block device after \(options.deviceSeconds) s: \(states.isEmpty ? "no path is connected" : states.joined(separator: ", "))"
    )
  }

  /// Lets go of the volume, unless something still uses it.
  func disconnect(_ volume: VolumeID) throws(GRPCError) {
    let subsystem = NQN.volume(volume)
    if let device = device(of: volume) {
      let users = try mounts().filter { isMount($0, of: device) }
      if let user = users.first {
        throw GRPCError(.failedPrecondition, "volume \(volume) is still mounted at \(user.mountPoint); unpublish it there first")
      }
    }
    for controller in system.controllers() where controller.subsystemNQN == subsystem {
      do throws(SystemFailure) {
        try system.disconnect(controller.name)
      } catch {
        // One that went away by itself meanwhile is what was wanted.
        if system.controllers().contains(where: { $0.name == controller.name && $0.subsystemNQN == subsystem }) {
          throw GRPCError(.internalError, "\(error)")
        }
      }
    }
  }

  /// All mounts, an error in the words of a call.
  func mounts() throws(GRPCError) -> [MountEntry] {
    do throws(SystemFailure) { return try system.mounts() } catch { throw GRPCError(.internalError, "\(error)") }
  }

  /// Whether it is a mount of the device's filesystem or of the device itself, wherever.
  func isMount(_ entry: MountEntry, of device: NVMeNamespace) -> Bool {
    if entry.deviceNumber == device.deviceNumber { return true }
    // Its mounts have numbers of their own. Of others the number decides: what a device that went away was called, another may be called now.
    if entry.filesystem == "btrfs" { return entry.source == device.path }
    // A bound device node is a mount of the filesystem that holds device nodes.
    guard entry.filesystem == "devtmpfs" || entry.filesystem == "tmpfs", entry.root.hasSuffix("/\(device.name)") else { return false }
    return (try? system.kind(of: entry.mountPoint)) == .blockDevice(device.deviceNumber)
  }

  /// What is mounted at `path`, uppermost.
  func mount(at path: String) throws(GRPCError) -> MountEntry? {
    let path = Self.withoutTrailingSlash(path)
    return try mounts().last { $0.mountPoint == path }
  }

  static func withoutTrailingSlash(_ path: String) -> String {
    var path = path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    return path
  }

  /// Runs a step that only the system can refuse.
  func step(_ body: () throws(SystemFailure) -> Void) throws(GRPCError) {
    do throws(SystemFailure) { try body() } catch { throw GRPCError(.internalError, "\(error)") }
  }
}

extension NVMeController {
  func isPath(_ path: PublishContext.Path) -> Bool { transportAddress == path.traddr && transportService == path.trsvcid }
}
