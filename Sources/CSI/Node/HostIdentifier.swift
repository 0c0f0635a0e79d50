import Control

/// The identifier under which this machine's kernel connects: the same at every start, and no other machine's.
public enum HostIdentifier {
  /// Of `--host-id` if given; else what nvme-cli uses, so that there is one host per machine; else the machine's own id (machine-id(5)).
  /// Nil if none is a UUID.
  public static func find(given: String?, root: String = "") -> String? {
    if let given { return VolumeID(given).map { "\($0)" } }
    for path in ["\(root)/etc/nvme/hostid", "\(root)/etc/machine-id", "\(root)/var/lib/dbus/machine-id"] {
      if let text = LinuxSystem.text(path), let id = uuid(text) { return id }
    }
    return nil
  }

  /// A UUID with or without its hyphens, not all zeros.
  private static func uuid(_ text: String) -> String? {
    let digits = text.lowercased().filter { $0 != "-" }
    guard digits.utf8.count == 32, digits.contains(where: { $0 != "0" }) else { return nil }
    var parts: [Substring] = []
    var rest = digits[...]
    for count in [8, 4, 4, 4, 12] {
      parts.append(rest.prefix(count))
      rest = rest.dropFirst(count)
    }
    return VolumeID(parts.joined(separator: "-")).map { "\($0)" }
  }
}
