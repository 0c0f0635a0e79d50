import Bench
import Console
import Control
import GRPC
import Host
import Pool
import Reactor

extension CommandError {
  /// Any error of the modules below, in the form that people and programs get.
  init(describing error: any Error) {
    switch error {
    case let error as CommandError: self = error
    case let error as BenchTarget.ParseError: self = .usage(error.message, hint: error.hint)
    case let error as BenchRunError: self.init(error.code, error.message, hint: error.hint)
    case let error as PoolError: self.init(error.code, error.message, hint: error.hint.isEmpty ? "" : error.hint + ".")
    case let error as DevError: self.init(error.code, error.message, hint: error.hint)
    case let error as GRPCError: self.init("csi_failed", error.message)
    case let error as StoreError: self.init("store_failed", error.description)
    case let error as VolumeRequests.Failure: self.init(error)
    case let error as SnapshotRequests.Failure: self.init(error)
    case let error as VolumeRequests.PublishingFailure: self.init(error)
    case let error as VolumeRequests.MoveFailure: self.init(error)
    case let error as NodeRequests.Failure: self.init(error)
    case StoreExport.Failure.storeNotEmpty(let count):
      self.init(
        "store_not_empty", StoreExport.Failure.storeNotEmpty(count: count).description, hint: "Write into it all the same with: --force")
    case let error as StoreExport.Failure: self.init("not_transferred", error.description)
    case let error as ObjectError: self.init(error)
    case let error as SystemError: self.init("system_error", error.description)
    case let error as HostError: self.init("connection_failed", error.description)
    case let error as NodeDaemon.StartError: self.init("node_not_started", error.description)
    default: self.init("failed", "\(error)")
    }
  }

  private init(_ error: VolumeRequests.Failure) {
    switch error {
    case .exists(let name):
      self.init("volume_exists", error.description, hint: "See it with: keelson volume show \(name)")
    case .notFound(let name): self = .volumeNotFound(name)
    case .contended: self.init("volume_contended", error.description)
    case .failedPrecondition: self.init("failed_precondition", error.description)
    }
  }

  private init(_ error: SnapshotRequests.Failure) {
    switch error {
    case .exists: self.init("snapshot_exists", error.description, hint: "See all snapshots with: keelson snapshot list")
    case .notFound:
      self = .notFound("snapshot_not_found", error.description, hint: "See all snapshots with: keelson snapshot list")
    case .volumeNotFound(let name): self = .volumeNotFound(name)
    case .tooMany: self.init("too_many_snapshots", error.description)
    case .contended: self.init("snapshot_contended", error.description)
    }
  }

  private init(_ error: VolumeRequests.PublishingFailure) {
    switch error {
    case .publishedElsewhere(let name, let host, _):
      self.init("published_elsewhere", error.description, hint: "Take it from there with: keelson volume unpublish \(name) --host \(host)")
    case .sharedIdentity: self.init("shared_identity", error.description)
    case .incompatible: self.init("published_otherwise", error.description, hint: "Unpublish it first.")
    case .tooMany: self.init("too_many_hosts", error.description)
    case .deleting: self.init("volume_deleted", error.description)
    case .timeout(let name, _):
      self = .timeout(error.description, hint: "It stays asked for. See: keelson volume explain \(name)")
    }
  }

  private init(_ error: VolumeRequests.MoveFailure) {
    switch error {
    case .noReplica: self.init("no_replica_there", error.description)
    case .timeout(let name, _, _):
      self = .timeout(error.description, hint: "It stays asked for; take that back with: keelson volume move \(name) any")
    }
  }

  private init(_ error: NodeRequests.Failure) {
    switch error {
    case .poolNotFound: self = .notFound("pool_not_found", error.description, hint: "See all pools with: keelson pool list")
    case .notFound: self = .notFound("node_not_found", error.description, hint: "See all nodes with: keelson node list")
    case .contended: self.init("node_contended", error.description)
    }
  }

  private init(_ error: ObjectError) {
    switch error {
    case .invalid(let what, let reason): self = .usage("\(what) is not valid: \(reason)")
    case .malformed, .newerVersion: self.init("store_object_unreadable", error.description)
    }
  }

  static func volumeNotFound(_ name: String) -> CommandError {
    .notFound("volume_not_found", "there is no volume \(name)", hint: "See all volumes with: keelson volume list")
  }
}
