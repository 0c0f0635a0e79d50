/// Waiting for publications on a copy of the store that the caller keeps current, for those who wait for many at once.
extension PublishedVolume {
  /// How far a publication or its end is.
  public enum Progress: Equatable, Sendable {
    case inForce(PublishedVolume)
    /// What it waits for.
    case waiting(String)
    /// The volume is being deleted, or is another one now.
    case gone
  }

  /// How far `publication` of the volume `id` is; see `VolumeRequests.publishWaiting`.
  public static func progress(of publication: Publication, of id: VolumeID, named name: String, in cluster: ClusterState) -> Progress {
    guard let spec = cluster.volume(name: name)?.object, spec.id == id, !spec.deleting else { return .gone }
    let progress = PublicationProgress(spec, in: cluster)
    if let trouble = progress.publishing(publication) { return .waiting(trouble) }
    return .inForce(PublishedVolume(spec, publication, paths: progress.paths))
  }

  /// What keeps a host, or all hosts, from being out; nil when they are. See `VolumeRequests.unpublishWaiting`.
  public static func remainder(of hostNQN: String?, of id: VolumeID, named name: String, in cluster: ClusterState) -> String? {
    guard let spec = cluster.volume(name: name)?.object, spec.id == id else { return nil }
    return PublicationProgress(spec, in: cluster).withholding(from: hostNQN)
  }
}
