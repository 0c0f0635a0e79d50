/// What CSI said of a volume that it asked for, kept with its specification: a repeated request is compared with it.
public struct CSIVolume: Codable, Equatable, Sendable {
  /// The request's name, free text.
  public var name: String
  /// Parameters of the StorageClass, as they were given.
  public var parameters: [String: String]
  /// What the volume is made from, for people and for nodes; absent for nothing.
  public var source: Source?

  public enum Source: Codable, Equatable, Sendable {
    case snapshot(id: String)
    case volume(id: String)
  }

  public init(name: String, parameters: [String: String], source: Source? = nil) {
    self.name = name
    self.parameters = parameters
    self.source = source
  }
}
