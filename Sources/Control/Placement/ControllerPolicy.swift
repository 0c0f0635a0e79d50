/// What a controller is told when it starts.
public struct ControllerPolicy: Equatable, Sendable {
  /// How long a node may be away before its replicas are made anew elsewhere.
  public var awayGraceSeconds: Double
  /// How many replicas are filled at the same time, in the whole cluster, that take the place of others.
  public var maximumBuilds: Int

  public init(awayGraceSeconds: Double = 600, maximumBuilds: Int = 16) {
    self.awayGraceSeconds = awayGraceSeconds
    self.maximumBuilds = maximumBuilds
  }
}
