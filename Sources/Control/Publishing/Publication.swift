import NVMe
import Target

/// One host's right to a volume, part of the volume's specification and copied into the assignments of every node with a path to it.
public struct Publication: Codable, Equatable, Sendable {
  public enum Mode: String, Codable, Sendable {
    /// No other host has the volume at the same time (R13).
    case singleWriter = "single-writer"
    /// Other hosts may have it too; what keeps them from each other's writes is theirs.
    case multiWriter = "multi-writer"
  }

  public static let maximumCount = 64

  public var hostNQN: String
  /// The Kubernetes node or whatever else the host is known as; for people.
  public var nodeName: String?
  /// The host's write commands are refused, and it is told that the namespace is write-protected.
  public var readOnly: Bool
  public var mode: Mode

  public init(hostNQN: String, nodeName: String? = nil, readOnly: Bool = false, mode: Mode = .singleWriter) {
    self.hostNQN = hostNQN
    self.nodeName = nodeName
    self.readOnly = readOnly
    self.mode = mode
  }

  /// Throws unless the host's name is one that NVMe can say.
  public func validate() throws(ObjectError) {
    guard let name = QualifiedName(hostNQN), name != .discovery else {
      throw .invalid(what: "host \"\(hostNQN.prefix(80))\"", reason: "it is not an NVMe qualified name, as in /etc/nvme/hostnqn")
    }
  }
}

extension HostFilter {
  /// Who may connect to a volume: anybody where it was never published and is open, else those it is published to.
  init(_ publications: [Publication]?) {
    guard let publications else {
      self = .any
      return
    }
    self = .granted(
      publications.compactMap { publication in
        QualifiedName(publication.hostNQN).map { HostGrant(name: $0, isReadOnly: publication.readOnly) }
      })
  }
}
