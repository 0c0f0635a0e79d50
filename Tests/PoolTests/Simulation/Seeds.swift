import Glibc

/// Which seeds a test runs. `KEELSON_SEED=17` runs that one alone; `KEELSON_SEEDS=10` ten times as many as usual.
enum Seeds {
  static func first(_ count: Int) -> [UInt64] {
    if let seed = unsafe getenv("KEELSON_SEED").flatMap({ UInt64(unsafe String(cString: $0)) }) { return [seed] }
    let factor = unsafe getenv("KEELSON_SEEDS").flatMap { Int(unsafe String(cString: $0)) } ?? 1
    return (1...UInt64(count * max(1, factor))).map { $0 }
  }

  /// Runs the first `count` seeds, two at a time.
  static func forEach(_ count: Int, _ body: @escaping @Sendable (UInt64) -> Void) async {
    let seeds = first(count)
    await withTaskGroup(of: Void.self) { group in
      for part in 0..<2 {
        group.addTask { for index in stride(from: part, to: seeds.count, by: 2) { body(seeds[index]) } }
      }
    }
  }
}
