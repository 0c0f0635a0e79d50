import Control
import GRPC

/// Checks that many calls share. Each throws the status that the specification's error tables ask for.
enum CSIRequests {
  static func invalid(_ message: String) -> GRPCError { GRPCError(.invalidArgument, message) }

  /// A required field that is missing is the first thing that is said.
  static func require(_ value: String, _ name: String) throws(GRPCError) {
    if value.isEmpty { throw invalid("\(name) is missing") }
  }

  /// Ids of ours are UUIDs; any other is nobody's.
  static func volumeID(_ text: String) throws(GRPCError) -> VolumeID {
    try require(text, "volume_id")
    guard let id = VolumeID(text) else { throw GRPCError(.notFound, "there is no volume \(text.prefix(80))") }
    return id
  }

  /// An absolute path without detours, as kubelet gives them.
  static func path(_ text: String, _ name: String) throws(GRPCError) {
    try require(text, name)
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    if !text.hasPrefix("/") || text.utf8.count > 4000 || text.utf8.contains(0) || parts.contains("..") || text == "/" {
      throw invalid("\(name) is no absolute path without \"..\": \(text.prefix(80))")
    }
  }
}

/// What a caller wants to do with a volume, checked.
struct RequestedCapability: Equatable, Sendable {
  enum Access: Equatable, Sendable {
    case block
    case mount(filesystem: FilesystemKind?, options: [String])
  }

  var access: Access
  var mode: VolumeCapability.AccessMode.Mode

  /// Throws INVALID_ARGUMENT for what no volume can do.
  init(_ capability: VolumeCapability?, name: String = "volume_capability") throws(GRPCError) {
    guard let capability else { throw CSIRequests.invalid("\(name) is missing") }
    guard let mode = capability.accessMode?.mode, mode != .unknown else {
      throw CSIRequests.invalid("\(name): access_mode is missing or unknown")
    }
    self.mode = mode
    if capability.block != nil {
      access = .block
    } else if let mount = capability.mount {
      var filesystem: FilesystemKind?
      if !mount.fsType.isEmpty {
        filesystem = FilesystemKind(rawValue: mount.fsType)
        if filesystem == nil {
          throw CSIRequests.invalid("\(name): fs_type \(mount.fsType.prefix(40)) is none of ext4, xfs, btrfs")
        }
      }
      if !mount.volumeMountGroup.isEmpty {
        throw CSIRequests.invalid("\(name): volume_mount_group is not supported; ext4 and xfs have no such option")
      }
      if mode == .multiNodeMultiWriter || mode == .multiNodeSingleWriter {
        throw CSIRequests.invalid("\(name): a filesystem on several nodes with a writer would be destroyed; use a block volume")
      }
      if mount.mountFlags.contains(where: { $0.utf8.count > 4000 || $0.utf8.contains(0) }) {
        throw CSIRequests.invalid("\(name): a mount flag is no text of at most 4000 bytes")
      }
      access = .mount(filesystem: filesystem, options: mount.mountFlags)
    } else {
      throw CSIRequests.invalid("\(name): neither block nor mount is asked for")
    }
  }

  /// Nobody writes.
  var isReadOnly: Bool { mode == .singleNodeReaderOnly || mode == .multiNodeReaderOnly }

  /// Hosts on several nodes at once.
  var isMultiNode: Bool { mode == .multiNodeReaderOnly || mode == .multiNodeSingleWriter || mode == .multiNodeMultiWriter }
}
