/// What a host needs to know of a volume that is published to it. All of it is public: a CSI publish context is made of it.
public struct PublishedVolume: Equatable, Sendable {
  public struct Path: Equatable, Sendable {
    public var node: String
    /// An IP address as text.
    public var address: String
    public var port: String

    /// "10.0.0.1:4420", "[fd00::1]:4420".
    public var place: String { address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)" }
  }

  public var volumeID: VolumeID
  public var name: String
  public var sizeBytes: UInt64
  public var publication: Publication
  public var subnqn: String
  /// 32 hexadecimal digits, as Linux shows it in /sys/block/*/nguid without its hyphens.
  public var nguid: String
  /// The path through the nexus first.
  public var paths: [Path]

  /// "subnqn", "nguid", "path0" to "pathN" ("address:port").
  public var context: [String: String] {
    var context = ["subnqn": subnqn, "nguid": nguid]
    for (index, path) in paths.enumerated() { context["path\(index)"] = path.place }
    return context
  }

  init(_ spec: VolumeSpec, _ publication: Publication, paths: [Path]) {
    volumeID = spec.id
    name = spec.name
    sizeBytes = spec.sizeBytes
    self.publication = publication
    subnqn = NQN.volume(spec.id)
    nguid = spec.id.description.filter { $0 != "-" }
    self.paths = paths
  }
}
