import Control

/// Names that Kubernetes, kubelet and Keelson have to spell the same.
public enum CSINames {
  public static let driver = "csi.keelson.io"
  /// Written by kubelet on behalf of `NodeGetInfo`.
  public static let topologyNode = "topology.csi.keelson.io/node"
  public static let topologyZone = "topology.csi.keelson.io/zone"
  public static let topologyRack = "topology.csi.keelson.io/rack"
  static let topologyKeys: Set<String> = [topologyNode, topologyZone, topologyRack]

  /// What a node is called in `topologyNode`, whose values Kubernetes keeps as labels, of at most 63 characters: its name, of a longer one the
  /// beginning and a checksum.
  static func topologyValue(ofNode name: String) -> String {
    if name.utf8.count <= Names.maximumLength { return name }
    return name.prefix(46) + "." + SHA256.hexadecimal(of: name).prefix(16)
  }
}

/// A Kubernetes node as CSI names it: `NAME@HOSTUUID`, so that the controller knows the host that will connect without asking anybody.
public struct NodeIdentity: Equatable, Sendable, CustomStringConvertible {
  public var name: String
  /// In lower case.
  public var hostID: String

  /// With "@" and a UUID behind it a node id has 256 bytes at most (CSI 1.12, NodeGetInfoResponse).
  public static let maximumNameBytes = 256 - 37

  /// Nil unless `hostID` is a UUID and `name` is a Kubernetes node's (a DNS subdomain, RFC 1123).
  public init?(name: String, hostID: String) {
    guard name.utf8.count <= Self.maximumNameBytes, (try? Names.validate(node: name)) != nil, let id = VolumeID(hostID) else { return nil }
    self.name = name
    self.hostID = "\(id)"
  }

  /// Nil for text that no node service of ours can have given.
  public init?(_ text: String) {
    guard let at = text.lastIndex(of: "@") else { return nil }
    self.init(name: String(text[..<at]), hostID: String(text[text.index(after: at)...]))
  }

  public var description: String { "\(name)@\(hostID)" }

  /// The name under which its kernel connects (NVM Express Base Specification 2.0, 4.5).
  public var hostNQN: String { "nqn.2014-08.org.nvmexpress:uuid:\(hostID)" }

  /// The node that a host name belongs to, if we named it.
  public static func hostID(ofNQN nqn: String) -> String? {
    let prefix = "nqn.2014-08.org.nvmexpress:uuid:"
    guard nqn.hasPrefix(prefix), let id = VolumeID(String(nqn.dropFirst(prefix.count))) else { return nil }
    return "\(id)"
  }
}
