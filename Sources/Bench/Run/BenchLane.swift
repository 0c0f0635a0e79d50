import Host
import Pool
import Reactor
import Transport

/// What one reactor does of a run: its devices, jobs and their driver. All methods are called on the reactor's thread.
final class BenchLane {
  /// Payload memory of one job, out of the reactor's arena where it fits.
  @safe private struct Payload {
    var buffer: UnsafeMutableRawBufferPointer
    var isOfArena: Bool
  }

  private let reactor: Reactor
  private var files: [FileDevice] = []
  private var replicas: [PoolReplica] = []
  private var transport: TransportContext?
  private var controllers: [RemoteController] = []
  private var headReader: HeadReader?
  private var devices: [BlockDevice] = []
  private var payloads: [Payload] = []
  private var driver: BenchDriver?

  init(_ reactor: Reactor) { self.reactor = reactor }

  /// Size and block size of the devices, which are all the same.
  struct Shape: Equatable, Sendable {
    var sizeBytes: UInt64
    var blockSizeBytes: UInt32
  }

  /// Opens one device for each of `jobCount` jobs.
  func open(_ source: BenchSource, plan: BenchPlan, jobCount: Int, _ completion: @escaping (Result<Shape, BenchRunError>) -> Void) {
    switch source {
    case .file(let file):
      files = (0..<jobCount).map { _ in FileDevice(file: file, on: reactor) }
      devices = files
      completion(.success(Shape(sizeBytes: devices[0].sizeBytes, blockSizeBytes: devices[0].blockSizeBytes)))
    case .replica(let pool, let id):
      do throws(PoolError) {
        for _ in 0..<jobCount { replicas.append(try pool.openReplica(id, on: reactor)) }
      } catch {
        return completion(.failure(BenchRunError(error)))
      }
      devices = replicas
      completion(.success(Shape(sizeBytes: devices[0].sizeBytes, blockSizeBytes: devices[0].blockSizeBytes)))
    case .subsystem(let subsystem):
      let context = TransportContext(reactor: reactor)
      transport = context
      connect(subsystem, context, plan, remainingCount: jobCount) { [self] result in
        guard case .success = result, plan.pattern.writes, !subsystem.mayOverwriteContent else { return completion(result) }
        let reader = HeadReader(devices[0])
        headReader = reader
        reader.read { [self] head in
          headReader = nil
          guard let head, let what = ContentProbe.signature(inHead: head) else { return completion(result) }
          completion(.failure(.foreignContent(of: "\(subsystem.name) at \(subsystem.addresses[0])", what: what)))
        }
      }
    }
  }

  /// Connects one controller after the other, until none is left or one fails.
  private func connect(
    _ subsystem: BenchSubsystem, _ context: TransportContext, _ plan: BenchPlan, remainingCount: Int,
    _ completion: @escaping (Result<Shape, BenchRunError>) -> Void
  ) {
    let controller = RemoteController(
      context: context, addresses: subsystem.addresses, subsystem: subsystem.name, host: subsystem.makeIdentity(),
      options: subsystem.options(depth: plan.depth, reconnects: plan.reconnectNanoseconds > 0))
    controllers.append(controller)
    controller.connect { [self] result in
      switch result {
      case .failure(let error):
        completion(.failure(BenchRunError("connection_failed", error.description)))
      case .success(let namespace):
        devices.append(namespace)
        if remainingCount > 1 {
          connect(subsystem, context, plan, remainingCount: remainingCount - 1, completion)
        } else {
          completion(.success(Shape(sizeBytes: namespace.sizeBytes, blockSizeBytes: namespace.blockSizeBytes)))
        }
      }
    }
  }

  /// Makes the jobs numbered from `firstNumber`, one per device, and returns their meters.
  func prepare(
    _ plan: BenchPlan, regions: [BenchRegion], firstNumber: Int, whenFinished: @escaping ([BenchJobResult]) -> Void
  ) -> [BenchMeter] {
    let jobs = devices.indices.map { index in
      let payload = allocatePayload(plan.bufferBytesPerJob)
      payloads.append(payload)
      return unsafe BenchJob(
        plan: plan, number: firstNumber + index, region: regions[firstNumber + index], device: devices[index], buffer: payload.buffer)
    }
    driver = BenchDriver(reactor: reactor, jobs: jobs, whenFinished: whenFinished)
    return jobs.map(\.meter)
  }

  func start() { driver?.start() }

  func drain() { driver?.drain() }

  /// How many requests have not been answered.
  var inFlightCount: Int { driver?.jobs.reduce(0) { $0 + $1.inFlightCount } ?? 0 }

  /// Lets everything go; no request is in flight any more.
  func close(_ completion: @escaping () -> Void) {
    driver = nil
    for payload in payloads {
      if payload.isOfArena {
        unsafe reactor.arena.release(payload.buffer.baseAddress!)
      } else {
        unsafe payload.buffer.deallocate()
      }
    }
    payloads = []
    devices = []
    for file in files { file.close() }
    files = []
    for replica in replicas { replica.close() }
    replicas = []
    closeControllers(completion)
  }

  /// One after the other, each in good order.
  private func closeControllers(_ completion: @escaping () -> Void) {
    guard let controller = controllers.popLast() else {
      transport = nil
      completion()
      return
    }
    controller.close { [self] in closeControllers(completion) }
  }

  private func allocatePayload(_ byteCount: Int) -> Payload {
    if byteCount <= BufferArena.maximumBufferBytes, let memory = unsafe reactor.arena.allocate(byteCount: byteCount) {
      return unsafe Payload(buffer: UnsafeMutableRawBufferPointer(start: memory, count: byteCount), isOfArena: true)
    }
    return unsafe Payload(
      buffer: .allocate(byteCount: byteCount, alignment: BufferArena.unitBytes), isOfArena: false)
  }
}
