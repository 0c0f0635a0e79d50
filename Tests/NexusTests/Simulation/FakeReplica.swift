import Glibc
import Pool
import Reactor

@testable import Nexus

/// What a fake replica keeps while doors to it come and go: its bytes, its logs, its claim.
@safe final class FakeReplica {
  let id: Identifier
  let memory: UnsafeMutableRawBufferPointer
  var claim = ReplicaClaim.none
  var hot: Set<Int> = []
  var missed: [Identifier: Set<Int>] = [:]
  var hasLostCache = false
  var incarnation = Identifier.someIncarnation
  var regionBytes: UInt64 = 64 << 10
  var maximumHotRegions = 256
  var isWriteThrough = false
  /// Counts what is sent through any door.
  var nextOrder = 0
  var flushedOrder = -1
  var leaseNanoseconds: UInt64 = 3_600_000_000_000

  init(id: Identifier, sizeBytes: UInt64) {
    self.id = id
    unsafe memory = .allocate(byteCount: Int(sizeBytes), alignment: 4096)
    unsafe memset(memory.baseAddress!, 0, Int(sizeBytes))
  }

  deinit { unsafe memory.deallocate() }

  var metadata: ReplicaMetadata {
    ReplicaMetadata(
      claim: claim, bootID: .none, mayHaveLostCache: hasLostCache, hotRegions: hot.sorted(),
      missed: missed.keys.sorted().map { ($0, missed[$0]!.sorted()) })
  }

  /// Does what is asked, as a replica that can do everything would.
  func answer(_ question: ReplicaQuestion) -> Result<ReplicaAnswer, ReplicaRefusal> {
    switch question {
    case .claimFrom(let asked, let floor):
      return claim.generation < floor ? .failure(.rolledBack(generation: claim.generation)) : answer(.claim(asked))
    case .claim(let asked):
      if asked.generation < claim.generation || (asked.generation == claim.generation && asked.nexusID != claim.nexusID) {
        return .failure(.claimed(generation: claim.generation))
      }
      let before = metadata
      claim = asked
      return unsafe .success(
        .claimed(
          ClaimedReplica(
            before: before, incarnation: incarnation, sizeBytes: UInt64(memory.count), regionBytes: regionBytes,
            maximumHotRegions: maximumHotRegions, isWriteThrough: isWriteThrough, leaseNanoseconds: leaseNanoseconds, snapshots: [])))
    case .storeSet(let asked):
      if asked.generation != claim.generation { return .failure(.claimed(generation: claim.generation)) }
      claim = asked
    case .renewLease: return .success(.leased(nanoseconds: leaseNanoseconds))
    case .setRegions(.activity, let ranges, let isMember):
      for range in ranges { if isMember { hot.formUnion(range) } else { hot.subtract(range) } }
      if hot.count > maximumHotRegions { return .failure(.noSpace) }
    case .setRegions(.missed(let peer), let ranges, let isMember):
      for range in ranges { if isMember { missed[peer, default: []].formUnion(range) } else { missed[peer, default: []].subtract(range) } }
      if ranges.isEmpty { missed[peer, default: []].formUnion([]) }
    case .forgetPeer(let peer): missed[peer] = nil
    case .clearLostCache: hasLostCache = false
    case .checksums(let offset, let count):
      return .success(
        .checksums(
          stride(from: Int(offset), to: Int(offset + count), by: 4096).map {
            unsafe CRC32C.checksum(memory.baseAddress! + $0, byteCount: 4096)
          }))
    case .allocatedRanges(let from):
      return .success(.ranges(allocated.filter { $0.upperBound > from }, nextOffsetBytes: nil))
    case .metadata: return .success(.metadata(metadata))
    case .release, .createSnapshot, .deleteSnapshot, .grow: break
    case .snapshotChecksums, .readSnapshot, .changedRanges: return .failure(.invalid("there are no snapshots"))
    }
    return .success(.done)
  }

  /// Units that hold anything but zeros.
  private var allocated: [Range<UInt64>] {
    unsafe stride(from: 0, to: memory.count, by: 4096).compactMap { offset in
      let unit = unsafe memory.baseAddress! + offset
      return unsafe unit.load(as: UInt64.self) == 0 && memcmp(unit, unit + 8, 4088) == 0
        ? nil : UInt64(offset)..<UInt64(offset + 4096)
    }
  }

  /// The stamp of a 512-byte block.
  func value(block: Int) -> UInt64? { unsafe Stamp.read(memory.baseAddress! + block * Stamp.blockBytes) }

  func fill(block: Int, _ value: UInt64) { unsafe Stamp.fill(memory.baseAddress! + block * Stamp.blockBytes, value) }

  func hasSameBytes(as other: FakeReplica) -> Bool {
    unsafe memcmp(memory.baseAddress!, other.memory.baseAddress!, memory.count) == 0
  }
}

/// Short names of replicas and nexuses.
extension Identifier {
  static let a = named(0xA)
  static let b = named(0xB)
  static let c = named(0xC)
  static let d = named(0xD)
  static let formerNexus = named(0xE0)
  static let thisNexus = named(0xE1)
  static let otherNexus = named(0xE2)
  static let someIncarnation = named(0xF0)

  static func named(_ number: UInt8) -> Identifier { Identifier(bytes: [UInt8](repeating: 0, count: 15) + [number])! }
}
