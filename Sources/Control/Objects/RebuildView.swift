/// A rebuild with its volume, as `keelson rebuild list` prints it.
public struct RebuildView: Equatable, Sendable {
  public var volume: String
  public var rebuild: RebuildStatus

  public init(volume: String, rebuild: RebuildStatus) {
    self.volume = volume
    self.rebuild = rebuild
  }

  /// Of all volumes, the oldest first.
  public static func all(in cluster: ClusterState) -> [RebuildView] {
    let all = VolumeView.all(in: cluster).flatMap { volume in volume.rebuilds.map { RebuildView(volume: volume.name, rebuild: $0) } }
    // Within a second as they are listed: sorting is not stable by promise.
    return all.enumerated().sorted {
      ($0.element.rebuild.startedAt, $0.offset) < ($1.element.rebuild.startedAt, $1.offset)
    }.map(\.element)
  }
}
