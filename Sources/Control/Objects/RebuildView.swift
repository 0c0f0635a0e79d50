/// A rebuild with its volume, as `keelson rebuild list` prints it.
public struct RebuildView: Equatable, Sendable {
  public var volume: String
  public var rebuild: RebuildStatus
  /// What an operator said about rebuilds of the volume.
  public var policy: RebuildPolicy?

  public init(volume: String, rebuild: RebuildStatus, policy: RebuildPolicy? = nil) {
    self.volume = volume
    self.rebuild = rebuild
    self.policy = policy
  }

  /// Of all volumes, the oldest first.
  public static func all(in cluster: ClusterState) -> [RebuildView] {
    let all = VolumeView.all(in: cluster).flatMap { volume in
      volume.rebuilds.map { RebuildView(volume: volume.name, rebuild: $0, policy: volume.rebuildPolicy) }
    }
    // Within a second as they are listed: sorting is not stable by promise.
    return all.enumerated().sorted {
      ($0.element.rebuild.startedAt, $0.offset) < ($1.element.rebuild.startedAt, $1.offset)
    }.map(\.element)
  }
}
