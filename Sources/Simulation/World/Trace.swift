/// What happened in a run, as a number that two runs of one seed must share, and on demand as text.
struct Trace {
  /// Kinds of happenings; they only keep the numbers of different things apart.
  enum Kind: UInt64 {
    case disk, network, store, host, process, nexus, fault, check
  }

  private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325
  private(set) var count = 0
  /// Takes the lines of the text; nil keeps none.
  var print: ((String) -> Void)?
  /// The latest lines, kept for the report of a failure.
  private(set) var latest: [String] = []
  var keepsLatest = false

  mutating func note(_ kind: Kind, at nanoseconds: UInt64, _ first: Int, _ second: Int, _ text: () -> String) {
    count += 1
    mix(kind.rawValue ^ nanoseconds << 4)
    mix(UInt64(bitPattern: Int64(first)) &* 31 &+ UInt64(bitPattern: Int64(second)))
    guard print != nil || keepsLatest else { return }
    let milliseconds = nanoseconds / 1_000_000
    let micro = nanoseconds / 1000 % 1000
    let padded = String(repeating: "0", count: 3 - String(micro).count) + String(micro)
    let line = "\(milliseconds).\(padded) \(kind) \(text())"
    print?(line)
    if keepsLatest {
      latest.append(line)
      if latest.count > 4000 { latest.removeFirst(2000) }
    }
  }

  /// FNV-1a, by words.
  private mutating func mix(_ value: UInt64) {
    hash = (hash ^ value) &* 0x0000_0100_0000_01B3
    hash ^= hash >> 29
  }
}
