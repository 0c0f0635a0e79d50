import Reactor

/// What a seed makes of a run: how many members, which of them fail, what clients do.
struct SimulationPlan {
  let sizeBytes: UInt64 = 16 * 4096
  let blockSizeBytes: UInt32
  let memberCount: Int
  let isOut: [Bool]
  let isFaulty: [Bool]
  let nearest: Int
  let minInSync: Int
  /// Regions leave the log as soon as they can.
  let dropsEagerly: Bool
  /// Replicas that cannot be reached come back, and so do those that were out at the start.
  let hasReturns: Bool
  let stepBytes: UInt64
  let clientCount: Int
  let commandCount: Int
  let queueDepth: Int
  let isShortOfBuffers: Bool
  /// The first so many 512-byte blocks get most of the commands.
  let hotBlocks: Int
  let faultPercent: Int
  /// The only faults are of space.
  let isSpaceShort: Bool
  let busyPercent: Int
  let fencePercent: Int
  let killPercent: Int
  let submitWeight: Int
  let answerWeight: Int
  let commitWeight: Int

  var blockCount: Int { Int(sizeBytes) / 512 }
  let maximumTransferBytes = 16 << 10

  init(_ generator: inout SeededGenerator) {
    blockSizeBytes = generator.chance(85) ? 512 : 4096
    memberCount = [1, 2, 2, 2, 3, 3, 4][generator.below(7)]
    let hasOut = memberCount > 1 && generator.chance(20)
    let outIndex = generator.below(memberCount)
    isOut = (0..<memberCount).map { hasOut && $0 == outIndex }
    // A third of the runs without any fault, and some with all members faulty.
    let faultiness = generator.below(3)
    var faulty: [Bool] = []
    for _ in 0..<memberCount { faulty.append(faultiness > 0 && generator.chance(faultiness == 1 ? 40 : 80)) }
    isFaulty = faulty
    nearest = hasOut ? (outIndex + 1) % memberCount : generator.below(memberCount)
    minInSync = memberCount - (hasOut ? 1 : 0) > 1 && generator.chance(30) ? 2 : 1
    dropsEagerly = generator.chance(40)
    hasReturns = generator.chance(40)
    stepBytes = [4096, 8192, 16384, 1 << 20][generator.below(4)]
    clientCount = 1 + generator.below(3)
    commandCount = 30 + generator.below(50)
    queueDepth = [1, 4, 12, 24][generator.below(4)]
    isShortOfBuffers = generator.chance(25)
    hotBlocks = [8, 24, 64, 128][generator.below(4)]
    faultPercent = [2, 5, 15][generator.below(3)]
    isSpaceShort = generator.chance(25)
    busyPercent = [0, 0, 5, 25][generator.below(4)]
    fencePercent = generator.chance(15) ? 50 : 0
    killPercent = generator.chance(40) ? 8 : 0
    submitWeight = 1 + generator.below(6)
    answerWeight = 1 + generator.below(6)
    commitWeight = 1 + generator.below(3)
  }

  /// Whether clients must never see an error: some member in the set is always well, and one is enough.
  var isAlwaysServed: Bool {
    fencePercent == 0 && minInSync == 1 && (0..<memberCount).contains { !isOut[$0] && !isFaulty[$0] }
  }

  func request(
    number: Int, _ generator: inout SeededGenerator, buffer: () -> UnsafeMutableRawPointer
  ) -> BlockRequest {
    let granularity = Int(blockSizeBytes) / 512 * (generator.chance(30) ? 4096 / Int(blockSizeBytes) : 1)
    let bound = generator.chance(80) ? hotBlocks : blockCount
    let first = generator.below(bound) / granularity * granularity
    let forced = generator.chance(20)
    let drawn = generator.below(100)
    let operation: BlockOperation =
      drawn < 38 ? .read : drawn < 73 ? .write : drawn < 84 ? .writeZeroes : drawn < 93 ? .deallocate : .flush
    if operation == .flush { return unsafe BlockRequest(.flush, token: UInt64(number)) }
    let isTransfer = operation == .read || operation == .write
    let largest = isTransfer ? maximumTransferBytes / 512 : (generator.chance(50) ? 24 : blockCount)
    let room = min(largest, blockCount - first)
    var count = max(granularity, (1 + generator.below(room)) / granularity * granularity)
    // Now and then beyond the end.
    if !isTransfer, generator.chance(3) { count = blockCount - first + granularity }
    return unsafe BlockRequest(
      operation, offsetBytes: UInt64(first) * 512, byteCount: UInt64(count) * 512, buffer: isTransfer ? buffer() : nil,
      forceUnitAccess: forced, token: UInt64(number))
  }
}
