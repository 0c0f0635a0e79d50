/// Which module may import which: the map that `Sources/ARCHITECTURE.md` explains.
enum ImportMap {
  /// Modules over C headers; they hold no Swift.
  static let systemModules: Set<String> = ["CLinux", "CSQLite", "CNGHTTP2", "COpenSSL"]

  /// What each Swift module may import.
  static let allowed: [String: Set<String>] = [
    "NVMe": [],
    "Protobuf": [],
    "GRPC": threads.union(["Protobuf", "CNGHTTP2", "COpenSSL", "CLinux"]),
    "Metrics": threads,
    "Console": threads.union(["CLinux"]),
    "Reactor": threads.union(["CLinux"]),
    "Transport": threads.union(["NVMe", "Reactor", "CLinux"]),
    "Pool": threads.union(["Reactor", "CLinux"]),
    "Target": threads.union(["Transport", "NVMe", "Reactor", "CLinux"]),
    "Host": threads.union(["Transport", "NVMe", "Reactor", "CLinux"]),
    "Nexus": threads.union(["Pool", "Reactor", "CLinux"]),
    "Simulation": threads.union(["Nexus", "Pool", "Reactor"]),
    "keelson-sim": threads.union(["Simulation"]),
    "Control": threads.union([
      "Nexus", "Target", "Host", "Transport", "Pool", "Reactor", "NVMe", "Metrics", "GRPC", "Protobuf", "CSQLite", "CLinux", "Foundation",
      "Dispatch",
    ]),
    "CSI": threads.union(["Control", "Host", "Transport", "Reactor", "NVMe", "GRPC", "Protobuf", "CLinux", "Foundation"]),
    "Bench": threads.union(["Console", "Host", "Transport", "Pool", "Reactor", "NVMe", "Metrics", "CLinux", "Foundation"]),
    "keelson": threads.union([
      "CSI", "GRPC", "Control", "Bench", "Console", "Nexus", "Target", "Host", "Transport", "Pool", "Reactor", "NVMe", "Metrics", "CSQLite",
      "CLinux",
      "Foundation",
    ]),
  ]

  /// What a module that runs on threads may take from the toolchain.
  private static let threads: Set<String> = ["Synchronization", "Glibc"]

  /// The module that a line imports, if it is an import: attributes and access levels before the keyword, and a kind or a
  /// submodule after it, are looked through.
  static func module(importedBy line: some StringProtocol) -> String? {
    let words = line.split(whereSeparator: \.isWhitespace)
    let modifiers: Set<Substring> = ["public", "package", "internal", "fileprivate", "private"]
    let start = words.prefix { $0.hasPrefix("@") || modifiers.contains(Substring($0)) }.count
    guard start < words.count, words[start] == "import" else { return nil }
    let kinds: Set<String> = ["struct", "class", "enum", "protocol", "typealias", "func", "let", "var"]
    guard let name = words.dropFirst(start + 1).first(where: { !kinds.contains(String($0)) }) else { return nil }
    return name.prefix { $0 != "." }.description
  }
}
