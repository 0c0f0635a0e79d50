/// What a seed makes of a run: each draws its own mix of sizes, speeds and faults, so that some runs are all about one thing.
struct SimulationPlan {
  /// What can go wrong, each by itself on or off in a run.
  enum Trouble: CaseIterable {
    case kill, powerLoss, pause, partition, oneWay, reset, storeAway, stickDisk, move, dropHost, failingDisk, fullDisk, rollBack, stop, rot,
      scrub
    /// A replica is lost for good, or taken away, and another one takes its place; the volume gets one more or one less; a planned move.
    case replace, resize, handOver

    /// Those that every seed draws by itself.
    static let common = allCases.filter { ![.rollBack, .replace, .resize, .handOver].contains($0) }
  }

  var cluster = Cluster.Options()
  var troubles: [Trouble]
  /// From one trouble to the next, on average.
  let troubleIntervalNanoseconds: UInt64
  let troubleCount: Int
  /// How long a trouble lasts.
  let troubleNanoseconds: ClosedRange<UInt64>
  let diskLatencies: [ClosedRange<UInt64>]
  let busyPercent: Int
  let networkDelay: ClosedRange<UInt64>
  let storeDelay: ClosedRange<UInt64>
  let lostReplyPercent: Int
  let lateRequestPercent: Int
  let keepPercent: Int
  let hostCount: Int
  let burst: Int
  let thinkNanoseconds: UInt64
  let hotSectors: Int
  let flushPercent: Int
  let zeroPercent: Int
  let readPercent: Int
  /// The node whose disk rots, where one does: what two disks forget in one region nobody has.
  let rottingNode: Int
  /// Whether troubles wait until the volume was healthy once.
  let startsQuietly: Bool
  /// Snapshots, deletions of them and growths.
  let orderCount: Int
  let orderIntervalNanoseconds: UInt64

  init(_ generator: inout SeededGenerator) {
    let replicas = [1, 2, 2, 2, 3, 3, 3, 3][generator.below(8)]
    cluster.replicaCount = replicas
    cluster.minInSync = replicas == 3 ? (generator.chance(75) ? 2 : 1) : replicas == 2 ? (generator.chance(75) ? 1 : 2) : 1
    if generator.chance(20) {
      // As many hot regions as a nexus asks for at least, and a few regions more than that.
      cluster.regionBytes = 64 << 10
      cluster.maximumHotRegions = 36
      cluster.sizeBytes = 44 * cluster.regionBytes
    } else {
      cluster.sizeBytes = [128 << 10, 256 << 10, 512 << 10][generator.below(3)]
      cluster.regionBytes = [8 << 10, 16 << 10, 32 << 10][generator.below(3)]
      // As many as there are when the volume is as large as it may become.
      cluster.maximumHotRegions = 128
    }
    cluster.isWriteThrough = generator.chance(15)
    cluster.driftPartsPerMillion = [0, 100, 450][generator.below(3)]
    if replicas > 1, generator.chance(20) { cluster.firstSetCount = max(replicas - 1, cluster.minInSync) }
    var troubles: [Trouble] = []
    let quota = 20 + generator.below(60)
    for trouble in Trouble.common where generator.chance(quota) { troubles.append(trouble) }
    if replicas > cluster.minInSync, generator.chance(20) {
      // A copy is gone then: the others had better be good.
      troubles.removeAll { $0 == .failingDisk || $0 == .fullDisk }
      troubles.append(.rollBack)
    }
    troubleIntervalNanoseconds = [300_000_000, 1_000_000_000, 3_000_000_000, 6_000_000_000][generator.below(4)]
    var troubleCount = troubles.isEmpty ? 0 : 2 + generator.below(12)
    troubleNanoseconds = generator.chance(50) ? 1_000_000...3_000_000_000 : 500_000_000...12_000_000_000
    var latencies: [ClosedRange<UInt64>] = []
    for _ in 0..<replicas {
      latencies.append([20_000...400_000, 20_000...400_000, 1_000_000...20_000_000, 10_000...100_000_000][generator.below(4)])
    }
    diskLatencies = latencies
    busyPercent = [0, 0, 0, 5, 20][generator.below(5)]
    networkDelay = [10_000...100_000, 10_000...2_000_000, 1_000_000...80_000_000][generator.below(3)]
    storeDelay = [200_000...3_000_000, 1_000_000...400_000_000][generator.below(2)]
    lostReplyPercent = [0, 0, 10, 40][generator.below(4)]
    lateRequestPercent = [0, 0, 0, 10][generator.below(4)]
    keepPercent = [0, 30, 70][generator.below(3)]
    hostCount = 1 + generator.below(3)
    burst = [1, 3, 8][generator.below(3)]
    thinkNanoseconds = [5_000_000, 40_000_000, 150_000_000][generator.below(3)]
    hotSectors = [16, 48, 128][generator.below(3)]
    flushPercent = [0, 3, 10][generator.below(3)]
    zeroPercent = [0, 6, 20][generator.below(3)]
    readPercent = [25, 45, 65][generator.below(3)]
    startsQuietly = generator.chance(70)
    orderCount = generator.chance(60) ? 1 + generator.below(10) : 0
    orderIntervalNanoseconds = [50_000_000, 500_000_000, 2_000_000_000][generator.below(3)]
    rottingNode = generator.below(replicas)
    // Drawn beside the others, which stay what they are.
    var side = SeededGenerator(
      seed: {
        var copy = generator; return copy.next()
      }())
    if side.chance(40) {
      cluster.rangesPerQuestion = 1 + side.below(3)
      cluster.rangesPerRecord = 1 + side.below(2)
    }
    cluster.tellsOfNew = side.chance(50)
    if side.chance(25) { troubles += [.handOver, .handOver] }
    if !troubles.contains(.rollBack), side.chance(25) {
      cluster.spareCount = 1
      troubles.removeAll { $0 == .failingDisk || $0 == .fullDisk }
      troubles += [.replace, .replace, .resize]
    }
    if troubleCount == 0, !troubles.isEmpty { troubleCount = 2 + side.below(8) }
    self.troubles = troubles
    self.troubleCount = troubleCount
  }
}
