import Foundation
import Host
import NVMe
import Pool
import Reactor
import Testing
import Transport

import enum Reactor.BlockOperation

/// Reads and writes known bytes: of a volume as a host, of a replica through its pool.
final class BlockAccess: Sendable {
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  private let reactor: ReactorReference
  private let device: ReactorBound<BlockDevice>
  private let requests: ReactorBound<Requests>
  /// Ends what lies under the device.
  private let ending: @Sendable (ReactorReference) -> Void

  /// Requests under way on the reactor, each with who waits for it.
  private final class Requests: BlockClient {
    var waiting: [UInt64: (BlockStatus) -> Void] = [:]
    var next: UInt64 = 0

    override func blockRequestCompleted(token: UInt64, status: BlockStatus) { waiting.removeValue(forKey: token)?(status) }
  }

  private init(_ reactor: ReactorReference, _ device: ReactorBound<BlockDevice>, ending: @escaping @Sendable (ReactorReference) -> Void) {
    self.reactor = reactor
    self.device = device
    self.ending = ending
    requests = reactor.call { _ in ReactorBound(Requests()) }
  }

  /// Connects to a subsystem as a host. Reconnects by itself when the connection is lost.
  static func connect(addresses: [SocketAddress], subsystem: String, hostName: String? = nil) async throws -> BlockAccess {
    let reactor = try Reactor.start(configuration: .init(arenaBytes: 8 << 20))
    let transport = reactor.call { ReactorBound(TransportContext(reactor: $0)) }
    let identifier = UUID().uuidString.lowercased()
    let host = HostIdentity(
      name: QualifiedName(hostName ?? "nqn.2014-08.org.nvmexpress:uuid:\(identifier)")!, identifier: Identifier128(identifier)!)
    var options = HostOptions()
    options.keepAliveMilliseconds = 3_000
    options.reconnect = .backOff(initialMilliseconds: 50, maximumMilliseconds: 500)
    let fixed = options
    guard let name = QualifiedName(subsystem) else { throw Failure(description: "\(subsystem) is no NQN") }
    let controller = reactor.call { _ in
      ReactorBound(RemoteController(context: transport.value, addresses: addresses, subsystem: name, host: host, options: fixed))
    }
    let result = await withCheckedContinuation { (continuation: CheckedContinuation<Result<ReactorBound<BlockDevice>, HostError>, Never>) in
      reactor.post { _ in controller.value.connect { continuation.resume(returning: $0.map { ReactorBound($0) }) } }
    }
    let ending: @Sendable (ReactorReference) -> Void = { reactor in
      _ = reactor.callAsynchronously { (_, done: @escaping @Sendable (Bool) -> Void) in controller.value.close { done(true) } }
      reactor.stop()
    }
    switch result {
    case .success(let device): return BlockAccess(reactor, device, ending: ending)
    case .failure(let error):
      ending(reactor)
      throw error
    }
  }

  /// The subsystems that the discovery service at an address tells of.
  static func discover(at place: JSON) async throws -> [String] {
    guard let address = SocketAddress(host: place["traddr"].string, port: UInt16(max(0, place["trsvcid"].int(orDigitsOf: 0)))) else {
      throw Failure(description: "no address: \(place)")
    }
    let reactor = try Reactor.start(configuration: .init(arenaBytes: 8 << 20))
    defer { reactor.stop() }
    let transport = reactor.call { ReactorBound(TransportContext(reactor: $0)) }
    let host = HostIdentity(
      name: QualifiedName("nqn.2014-08.org.nvmexpress:uuid:6a1c2f7e-0000-4000-8000-000000000002")!,
      identifier: Identifier128("6a1c2f7e-0000-4000-8000-000000000002")!)
    let result = await withCheckedContinuation { (continuation: CheckedContinuation<Result<[String], HostError>, Never>) in
      reactor.post { _ in
        Discovery.read(context: transport.value, address: address, host: host) { result in
          continuation.resume(returning: result.map { entries in entries.compactMap { $0.subsystemName.map { "\($0)" } } })
        }
      }
    }
    return try result.get()
  }

  /// A volume, from `volume show`, through the path that serves it, now and later.
  static func connect(to volume: JSON, hostName: String? = nil) async throws -> BlockAccess {
    let paths = volume["paths"].array
    return try await connect(addresses: try paths.map(address), subsystem: volume["paths"][0]["subnqn"].string, hostName: hostName)
  }

  /// A path of a volume.
  static func connect(path: JSON, hostName: String? = nil) async throws -> BlockAccess {
    try await connect(addresses: [try address(of: path)], subsystem: path["subnqn"].string, hostName: hostName)
  }

  private static func address(of path: JSON) throws -> SocketAddress {
    guard let address = SocketAddress(host: path["traddr"].string, port: UInt16(max(0, path["trsvcid"].int(orDigitsOf: 0)))) else {
      throw Failure(description: "it is no path: \(path)")
    }
    return address
  }

  /// The replica of a volume in a pool file that no node uses now.
  static func replica(ofVolume volume: String, poolPath: String) throws -> BlockAccess {
    let pool = try Pool.open(path: poolPath)
    guard let replica = pool.replicas.first(where: { $0.volumeID.description == volume }) else {
      try pool.close()
      throw Failure(description: "\(poolPath) holds no replica of volume \(volume)")
    }
    let reactor = try Reactor.start(configuration: .init(arenaBytes: 8 << 20))
    let opened = reactor.call { reactor -> Result<ReactorBound<PoolReplica>, PoolError> in
      do throws(PoolError) { return .success(ReactorBound(try pool.openReplica(replica.id, on: reactor))) } catch { return .failure(error) }
    }
    let device = try opened.get()
    return BlockAccess(reactor, ReactorBound(device.value)) { reactor in
      reactor.call { _ in device.value.close() }
      // The pool lives on the reactor as long as it is open.
      #expect(throws: Never.self) { try pool.close() }
      reactor.stop()
    }
  }

  var blockSizeBytes: UInt32 { reactor.call { [device] _ in device.value.blockSizeBytes } }
  var sizeBytes: UInt64 { reactor.call { [device] _ in device.value.sizeBytes } }

  /// Lets go of it; nothing may be under way.
  func close() { ending(reactor) }

  /// One request. Writes send `bytes`; reads return `byteCount` of them.
  func perform(_ operation: BlockOperation, at offsetBytes: UInt64, byteCount: Int, bytes: [UInt8] = []) async -> (BlockStatus, [UInt8]) {
    await withCheckedContinuation { continuation in
      reactor.post { [device, requests] reactor in
        let requests = requests.value
        let needsBuffer = operation == .read || operation == .write
        let buffer = needsBuffer ? unsafe reactor.arena.allocate(byteCount: byteCount) : nil
        if needsBuffer, unsafe buffer == nil {
          continuation.resume(returning: (.busy, []))
          return
        }
        if operation == .write { unsafe buffer!.copyMemory(from: bytes, byteCount: byteCount) }
        let token = requests.next
        requests.next += 1
        requests.waiting[token] = { status in
          var data: [UInt8] = []
          if let buffer = unsafe buffer {
            if operation == .read, status == .success {
              data = unsafe Array(UnsafeRawBufferPointer(start: buffer, count: byteCount))
            }
            unsafe reactor.arena.release(buffer)
          }
          continuation.resume(returning: (status, data))
        }
        unsafe device.value.submit(
          BlockRequest(operation, offsetBytes: offsetBytes, byteCount: UInt64(byteCount), buffer: buffer, token: token),
          for: requests)
      }
    }
  }

  /// Writes and returns when it is acknowledged. While the way to the volume is lost it tries again, as hosts do.
  func write(_ bytes: [UInt8], at offsetBytes: UInt64, limitSeconds: Double = 40) async throws {
    try await persist("write at \(offsetBytes)", limitSeconds) {
      await self.perform(.write, at: offsetBytes, byteCount: bytes.count, bytes: bytes)
    }
  }

  /// Reads, trying again as `write` does.
  @discardableResult
  func read(_ byteCount: Int, at offsetBytes: UInt64, limitSeconds: Double = 40) async throws -> [UInt8] {
    try await persist("read at \(offsetBytes)", limitSeconds) { await self.perform(.read, at: offsetBytes, byteCount: byteCount) }
  }

  @discardableResult
  private func persist(_ what: String, _ limitSeconds: Double, _ body: () async -> (BlockStatus, [UInt8])) async throws -> [UInt8] {
    try await eventually(what, limitSeconds: limitSeconds) {
      let (status, data) = await body()
      switch status {
      case .success: return data
      case .connectionLost, .inaccessible, .busy: return nil
      default: throw Failure(description: "\(what): \(status)")
      }
    }
  }
}

extension JSON {
  /// A number, or the digits of a text.
  func int(orDigitsOf fallback: Int) -> Int {
    switch self {
    case .number: int
    case .string(let text): Int(text) ?? fallback
    default: fallback
    }
  }
}

/// Bytes that say which write they are of.
enum Pattern {
  static let blockBytes = 64 << 10

  /// Different for every seed and block.
  static func block(_ number: Int, seed: UInt64) -> [UInt8] {
    var state = seed &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(number) &* 0xD1B5_4A32_D192_ED03 | 1
    var bytes: [UInt8] = []
    bytes.reserveCapacity(blockBytes)
    while bytes.count < blockBytes {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      for shift in stride(from: UInt64(0), to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: state >> shift)) }
    }
    return bytes
  }

  /// Writes blocks `numbers` one after the other.
  static func write(_ numbers: Range<Int>, seed: UInt64, to volume: BlockAccess, limitSeconds: Double = 40) async throws {
    for number in numbers {
      try await volume.write(block(number, seed: seed), at: UInt64(number * blockBytes), limitSeconds: limitSeconds)
    }
  }

  /// The blocks of `numbers` that are not as they were written.
  static func mismatches(_ numbers: Range<Int>, seed: UInt64, in device: BlockAccess) async throws -> [Int] {
    var wrong: [Int] = []
    for number in numbers where try await device.read(blockBytes, at: UInt64(number * blockBytes)) != block(number, seed: seed) {
      wrong.append(number)
    }
    return wrong
  }
}
