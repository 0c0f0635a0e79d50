/// What a benchmark runs on, as the command line names it.
public enum BenchTarget: Equatable, Sendable {
  /// A file or block device.
  case path(String)
  /// A subsystem of an NVMe/TCP target; IPv6 hosts without their brackets.
  case nvmeTCP(host: String, port: UInt16, subsystemNQN: String)
  /// A volume of the running Keelson.
  case volume(String)

  public struct ParseError: Error, Equatable, Sendable {
    public var message: String
    public var hint: String
  }

  /// NVMe/TCP's port for I/O controllers.
  public static let defaultPort: UInt16 = 4420
  /// NVMe Base 2.0, 4.5: an NQN has at most 223 bytes.
  public static let maximumNQNBytes = 223

  /// `nvme-tcp://HOST[:PORT]/SUBNQN`; anything with a slash, or `.` or `..`, is a path; the rest is a volume's name.
  public static func parse(_ text: String) throws(ParseError) -> BenchTarget {
    let scheme = "nvme-tcp://"
    if text.hasPrefix(scheme) { return try parseSubsystem(String(text.dropFirst(scheme.count)), text) }
    if text.contains("://") {
      throw ParseError(
        message: "'\(text)' is a kind of target that is not known", hint: "Write nvme-tcp://HOST:PORT/SUBNQN, a path, or a volume's name.")
    }
    if text.isEmpty {
      throw ParseError(message: "the target is empty", hint: "Write a volume's name, a path, or nvme-tcp://HOST:PORT/SUBNQN.")
    }
    return text.contains("/") || text == "." || text == ".." ? .path(text) : .volume(text)
  }

  private static func parseSubsystem(_ rest: String, _ whole: String) throws(ParseError) -> BenchTarget {
    let form = "Write nvme-tcp://HOST:PORT/SUBNQN, IPv6 addresses in brackets: nvme-tcp://[::1]:4420/nqn.2024-01.io.example:vol."
    guard let slash = rest.firstIndex(of: "/") else { throw ParseError(message: "'\(whole)' names no subsystem", hint: form) }
    let nqn = String(rest[rest.index(after: slash)...])
    if nqn.isEmpty || nqn.utf8.count > maximumNQNBytes || !nqn.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) {
      throw ParseError(message: "'\(nqn)' is not a subsystem's NQN of 1 to \(maximumNQNBytes) bytes", hint: form)
    }
    var authority = rest[..<slash]
    var host: Substring
    if authority.first == "[" {
      guard let close = authority.firstIndex(of: "]") else {
        throw ParseError(message: "'\(authority)' has no closing bracket", hint: form)
      }
      host = authority[authority.index(after: authority.startIndex)..<close]
      authority = authority[authority.index(after: close)...]
      if !authority.isEmpty && authority.first != ":" { throw ParseError(message: "'\(whole)' has no valid address", hint: form) }
    } else {
      host = authority.prefix { $0 != ":" }
      authority = authority[host.endIndex...]
    }
    if host.isEmpty { throw ParseError(message: "'\(whole)' names no host", hint: form) }
    var port = defaultPort
    if !authority.isEmpty {
      guard let number = UInt16(authority.dropFirst()), number > 0 else {
        throw ParseError(message: "'\(authority.dropFirst())' is not a port from 1 to 65535", hint: form)
      }
      port = number
    }
    return .nvmeTCP(host: String(host), port: port, subsystemNQN: nqn)
  }
}
