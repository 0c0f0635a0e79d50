import Control

/// What a node must know to connect to a volume: `publish_context` of ControllerPublishVolume, as text for CSI to carry.
public struct PublishContext: Equatable, Sendable {
  /// Where one node serves the volume.
  public struct Path: Hashable, Sendable {
    public var traddr: String
    public var trsvcid: String

    public init(traddr: String, trsvcid: String) {
      self.traddr = traddr
      self.trsvcid = trsvcid
    }
  }

  public static let maximumPaths = 64

  public var subsystemNQN: String
  /// 32 lower-case hexadecimal digits.
  public var nguid: String
  /// The best first.
  public var paths: [Path]
  public var isReadOnly = false
  /// Absent for the node's choice.
  public var ioQueues: Int?
  public var keepAliveSeconds: Int?
  /// -1 for ever.
  public var controllerLossSeconds: Int?

  public init(volume: VolumeID, paths: [Path]) {
    subsystemNQN = NQN.volume(volume)
    nguid = Self.nguid(of: volume)
    self.paths = paths
  }

  /// A volume's namespace has the volume's own identifier.
  public static func nguid(of volume: VolumeID) -> String { "\(volume)".filter { $0 != "-" } }

  public var fields: [String: String] {
    var fields = ["subnqn": subsystemNQN, "nguid": nguid]
    for (index, path) in paths.enumerated() {
      fields["path\(index)"] = path.traddr.contains(":") ? "[\(path.traddr)]:\(path.trsvcid)" : "\(path.traddr):\(path.trsvcid)"
    }
    if isReadOnly { fields["readOnly"] = "true" }
    fields["ioQueues"] = ioQueues.map { "\($0)" }
    fields["keepAliveTmo"] = keepAliveSeconds.map { "\($0)" }
    fields["ctrlLossTmo"] = controllerLossSeconds.map { "\($0)" }
    return fields
  }

  public struct Malformed: Error, Equatable, Sendable, CustomStringConvertible {
    public var description: String
  }

  /// Throws for fields that no controller of ours wrote for `volume`.
  public init(_ fields: [String: String], of volume: VolumeID) throws(Malformed) {
    self.init(volume: volume, paths: [])
    guard fields["subnqn"] == subsystemNQN, fields["nguid"] == nguid else {
      throw Malformed(description: "publish_context is not that of volume \(volume): subnqn or nguid differ")
    }
    for index in 0..<Self.maximumPaths {
      guard let text = fields["path\(index)"] else { break }
      guard let path = Path(text) else { throw Malformed(description: "publish_context: path\(index) is no ADDRESS:PORT") }
      paths.append(path)
    }
    if paths.isEmpty { throw Malformed(description: "publish_context names no path") }
    isReadOnly = fields["readOnly"] == "true"
    ioQueues = try Self.number(fields, "ioQueues", 1...64)
    keepAliveSeconds = try Self.number(fields, "keepAliveTmo", 1...3600)
    controllerLossSeconds = try Self.number(fields, "ctrlLossTmo", -1...86_400)
  }

  private static func number(_ fields: [String: String], _ name: String, _ range: ClosedRange<Int>) throws(Malformed) -> Int? {
    guard let text = fields[name] else { return nil }
    guard let value = Int(text), range.contains(value) else {
      throw Malformed(description: "publish_context: \(name) is not \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }
}

extension PublishContext.Path {
  /// `ADDRESS:PORT`, IPv6 in brackets. The text becomes part of an option string of the kernel's, so nothing else may be in it.
  init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0 else { return nil }
    var host = String(text[..<colon])
    if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
    let isAddress =
      !host.isEmpty && host.utf8.count <= 63
      && host.utf8.allSatisfy { byte in
        byte == UInt8(ascii: ".") || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "%")
          || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
          || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
      }
    if !isAddress { return nil }
    self.init(traddr: host, trsvcid: "\(port)")
  }
}
