import Reactor

@testable import Bench

/// A device in memory whose completions wait until the test delivers them, in an order drawn from a seed. It can lie.
final class MemoryDevice: BlockDevice {
  enum Lie {
    case none
    /// The write with this number, counted from 0, is acknowledged and forgotten.
    case loseWrite(Int)
    /// The write with this number goes to the place of another block, as a misdirected write does.
    case misplaceWrite(Int, toOffsetBytes: UInt64)
    /// One bit of the write with this number is flipped on its way to the medium.
    case corruptWrite(Int, byte: Int)
    /// Only the first half of the write with this number reaches the medium.
    case tearWrite(Int)
    /// Reads return what the block held before its newest write.
    case readOldVersions
    /// Reads of these two offsets return each other's data.
    case swapReads(UInt64, UInt64)
    /// Reads leave the buffer as it is.
    case readNothing
  }

  var lie = Lie.none
  /// What a request with this number of its kind ends with instead of being carried out.
  var statusOfWrite: (Int) -> BlockStatus = { _ in .success }
  var statusOfRead: (Int) -> BlockStatus = { _ in .success }
  /// Failed writes reach the medium nevertheless.
  var failedWritesTakeEffect = false
  /// If set, the device delivers by itself, one request per event of that reactor.
  var reactor: Reactor?
  private(set) var storage: [UInt8]
  private var previous: [UInt8]
  private var queue: [(request: BlockRequest, client: BlockClient)] = []
  private var generator: RandomGenerator
  private(set) var writeCount = 0
  private(set) var readCount = 0
  private(set) var flushCount = 0
  private(set) var forcedWriteCount = 0
  private(set) var offsetsInOrder: [UInt64] = []
  private(set) var largestQueue = 0

  init(sizeBytes: UInt64, blockSizeBytes: UInt32 = 512, seed: UInt64 = 7) {
    storage = Array(repeating: 0xee, count: Int(sizeBytes))
    previous = storage
    generator = RandomGenerator(seed: seed)
    super.init(sizeBytes: sizeBytes, blockSizeBytes: blockSizeBytes)
  }

  var queuedCount: Int { queue.count }

  override func submit(_ request: BlockRequest, for client: BlockClient) {
    precondition(accepts(request))
    if request.operation == .write || request.operation == .read {
      offsetsInOrder.append(request.offsetBytes)
    }
    queue.append((request, client))
    largestQueue = max(largestQueue, queue.count)
    reactor?.postpone(handlerID, token: 0, result: 0)
  }

  /// Offsets of the writes that wait for delivery.
  var queuedWriteOffsets: [UInt64] { queue.filter { $0.request.operation == .write }.map(\.request.offsetBytes) }

  override func completed(token: UInt64, result: Int32) { _ = deliverOne() }

  /// Carries out and completes one request; false if there is none.
  func deliverOne() -> Bool {
    if queue.isEmpty { return false }
    let index = Int(generator.next(below: UInt64(queue.count)))
    let (request, client) = queue.remove(at: index)
    client.blockRequestCompleted(token: request.token, status: carryOut(request))
    return true
  }

  private func carryOut(_ request: BlockRequest) -> BlockStatus {
    let start = Int(request.offsetBytes)
    let count = Int(request.byteCount)
    switch request.operation {
    case .read:
      let status = statusOfRead(readCount)
      readCount += 1
      if status != .success { return status }
      unsafe read(start, count, into: UnsafeMutableRawBufferPointer(start: request.buffer, count: count))
      return .success
    case .write:
      let number = writeCount
      let status = statusOfWrite(number)
      writeCount += 1
      if request.forceUnitAccess { forcedWriteCount += 1 }
      if status == .success || (failedWritesTakeEffect && status != .busy) {
        unsafe write(number, start, UnsafeRawBufferPointer(start: request.buffer, count: count))
      }
      return status
    case .flush:
      flushCount += 1
      return .success
    case .writeZeroes, .deallocate:
      return .unsupported
    }
  }

  private func read(_ start: Int, _ count: Int, into buffer: UnsafeMutableRawBufferPointer) {
    var start = start
    var source = storage
    switch lie {
    case .readNothing: return
    case .readOldVersions: source = previous
    case .swapReads(let one, let other) where start == Int(one): start = Int(other)
    case .swapReads(let one, let other) where start == Int(other): start = Int(one)
    default: break
    }
    unsafe buffer.copyBytes(from: source[start..<start + count])
  }

  private func write(_ number: Int, _ start: Int, _ bytes: UnsafeRawBufferPointer) {
    var start = start
    var data = unsafe Array(bytes)
    switch lie {
    case .loseWrite(number): return
    case .misplaceWrite(number, let offset): start = Int(offset)
    case .corruptWrite(number, let byte): data[byte] ^= 0x10
    case .tearWrite(number): data.removeSubrange((data.count / 2)...)
    default: break
    }
    for (index, byte) in data.enumerated() {
      previous[start + index] = storage[start + index]
      storage[start + index] = byte
    }
  }
}

/// Aligned payload memory for a test's job.
@safe final class Payloads {
  let memory: UnsafeMutableRawBufferPointer

  init(_ plan: BenchPlan) { unsafe memory = .allocate(byteCount: plan.bufferBytesPerJob, alignment: 4096) }

  deinit { unsafe memory.deallocate() }
}

/// Runs a plan to its end on a device, as a driver does, and returns the results. After `drainAfter` completions the measured
/// run is ended, so that what a test sees does not depend on how fast the machine is.
func run(_ plan: BenchPlan, on device: MemoryDevice, drainAfter: Int = .max, maximumSteps: Int = 2_000_000) throws -> [BenchJobResult] {
  let regions = try plan.regions(deviceSizeBytes: device.sizeBytes, deviceBlockBytes: device.blockSizeBytes)
  let payloads = regions.map { _ in Payloads(plan) }
  let jobs = regions.indices.map { number in
    unsafe BenchJob(plan: plan, number: number, region: regions[number], device: device, buffer: payloads[number].memory)
  }
  for job in jobs { job.start() }
  var steps = 0
  while jobs.contains(where: { !$0.isFinished }) {
    steps += 1
    if steps > maximumSteps { throw StillRunning() }
    if steps == drainAfter {
      for job in jobs { job.drain() }
    }
    if !device.deliverOne() || steps % 64 == 0 {
      for job in jobs { job.pump() }
    }
  }
  let results = jobs.map { $0.result() }
  // The payloads outlive the jobs.
  withExtendedLifetime(payloads) {}
  return results
}

/// The same for a plan of one job.
func runOne(
  _ plan: BenchPlan, on device: MemoryDevice, drainAfter: Int = .max, maximumSteps: Int = 2_000_000
) throws -> BenchJobResult {
  precondition(plan.jobCount == 1)
  return try run(plan, on: device, drainAfter: drainAfter, maximumSteps: maximumSteps)[0]
}

/// Longer than any test: the run ends by other means.
let anHourInNanoseconds: UInt64 = 3_600_000_000_000

struct StillRunning: Error {}
