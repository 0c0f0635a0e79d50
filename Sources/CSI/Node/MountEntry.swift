/// A line of `/proc/self/mountinfo` (proc(5)).
public struct MountEntry: Equatable, Sendable {
  /// `MAJOR:MINOR` of the filesystem; not of a disk for btrfs, which has a number of its own.
  public var deviceNumber: String
  /// What of the filesystem is mounted.
  public var root: String
  public var mountPoint: String
  /// Of this mount: `rw`, `noatime`…
  public var options: [String]
  public var filesystem: String
  public var source: String
  /// Of the filesystem, wherever it is mounted.
  public var filesystemOptions: [String]

  public init(
    deviceNumber: String, root: String, mountPoint: String, options: [String], filesystem: String, source: String,
    filesystemOptions: [String]
  ) {
    self.deviceNumber = deviceNumber
    self.root = root
    self.mountPoint = mountPoint
    self.options = options
    self.filesystem = filesystem
    self.source = source
    self.filesystemOptions = filesystemOptions
  }

  /// Nothing can be written through it.
  public var isReadOnly: Bool { options.contains("ro") || filesystemOptions.contains("ro") }

  /// Nil for a line that is none.
  init?(line: Substring) {
    let words = line.split(separator: " ").map(String.init)
    guard let dash = words.firstIndex(of: "-"), dash >= 6, words.count >= dash + 4 else { return nil }
    deviceNumber = words[2]
    root = Self.unescaped(words[3])
    mountPoint = Self.unescaped(words[4])
    options = words[5].split(separator: ",").map(String.init)
    filesystem = words[dash + 1]
    source = Self.unescaped(words[dash + 2])
    filesystemOptions = words[dash + 3].split(separator: ",").map(String.init)
  }

  /// Spaces, tabs, line ends and backslashes come as `\` and three octal digits.
  static func unescaped(_ text: String) -> String {
    let bytes = Array(text.utf8)
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
      if bytes[index] == UInt8(ascii: "\\"), index + 3 < bytes.count,
        let value = UInt8(String(decoding: bytes[index + 1...index + 3], as: UTF8.self), radix: 8)
      {
        result.append(value)
        index += 4
      } else {
        result.append(bytes[index])
        index += 1
      }
    }
    return String(decoding: result, as: UTF8.self)
  }
}

/// A mount to make (mount(2)).
public struct MountRequest: Equatable, Sendable {
  public var source: String
  public var target: String
  /// Nil for a bind mount.
  public var filesystem: String?
  public var options: MountOptions

  public init(source: String, target: String, filesystem: String?, options: MountOptions) {
    self.source = source
    self.target = target
    self.filesystem = filesystem
    self.options = options
  }
}

/// Mount options as people write them, as far as mount(2) knows them by number, and the rest for the filesystem.
public struct MountOptions: Equatable, Sendable {
  public var isReadOnly = false
  /// Names from `MountOptions.generic`, in the order of first mention.
  public var flags: [String] = []
  /// What the filesystem itself reads, joined by commas.
  public var data: [String] = []

  /// What mount(2) takes as a flag.
  public static let generic: Set<String> = [
    "nosuid", "nodev", "noexec", "sync", "dirsync", "noatime", "nodiratime", "relatime", "strictatime", "lazytime", "silent", "mand",
  ]
  /// What only mount(8) reads, or what is the case anyway.
  private static let ignored: Set<String> = [
    "defaults", "rw", "suid", "dev", "exec", "async", "auto", "noauto", "user", "nouser", "_netdev", "nofail", "norelatime", "atime",
    "diratime", "nolazytime", "loud", "nomand", "bind",
  ]

  public init() {}

  public init(_ options: [String]) {
    for option in options.flatMap(Self.separated) {
      if option == "ro" {
        isReadOnly = true
      } else if Self.generic.contains(option) {
        if !flags.contains(option) { flags.append(option) }
      } else if !Self.ignored.contains(option), !option.hasPrefix("x-"), !option.isEmpty, !data.contains(option) {
        data.append(option)
      }
    }
  }

  /// Cut at commas that are not inside double quotes, as SELinux contexts have them.
  private static func separated(_ text: String) -> [String] {
    var parts = [""]
    var isQuoted = false
    for character in text {
      if character == "\"" { isQuoted.toggle() }
      if character == ",", !isQuoted { parts.append("") } else { parts[parts.count - 1].append(character) }
    }
    return parts
  }
}
