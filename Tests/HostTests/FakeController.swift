import CLinux
import Glibc
import NVMe
import Reactor
import Synchronization

/// What a fake controller does wrong, with the first read or write of its life.
enum Misbehaviour: String, CaseIterable, Sendable {
  case unknownIdentifier, responseTwice, dataBeyondEnd, dataOutOfOrder, dataForWrite, dataLengthLies, successWithoutData
  case successBeforeAllData, requestBeyondEnd, requestForRead, requestForNothing, requestOutOfOrder, twoRequestsAtOnce
  case successWithoutRequest, wrongHeaderDigest, unknownType, secondInitialization, hostPDU, hugeLength, wrongHeaderLength
  case dataAfterLast, silence, hangUp, termination, hugeData

  /// FES of the termination request that the host must send; nil where none is due.
  var expectedStatus: FatalErrorStatus? {
    switch self {
    case .unknownIdentifier, .responseTwice, .dataOutOfOrder, .dataForWrite, .dataLengthLies, .requestForRead, .requestForNothing,
      .requestOutOfOrder, .unknownType, .hostPDU, .hugeLength, .wrongHeaderLength:
      .invalidHeaderField
    case .dataBeyondEnd, .requestBeyondEnd, .hugeData: .dataTransferOutOfRange
    case .successWithoutData, .successBeforeAllData, .successWithoutRequest, .secondInitialization, .dataAfterLast: .sequenceError
    case .wrongHeaderDigest: .headerDigestError
    case .twoRequestsAtOnce: .limitExceeded
    case .silence, .hangUp, .termination: nil
    }
  }

  var concernsWrites: Bool {
    switch self {
    case .dataForWrite, .requestBeyondEnd, .requestForNothing, .requestOutOfOrder, .twoRequestsAtOnce, .successWithoutRequest: true
    default: false
    }
  }
}

/// How a fake controller behaves.
struct Script: Sendable {
  var blockShift: UInt8 = 9
  var sizeBlocks: UInt64 = 16_384
  var ioCapsuleData: UInt32 = 8192
  var maximumHostData: UInt32 = 131_072
  var requestPieces = 1
  var dataPieces = 1
  var usesSuccessFlag = false
  var controllerDataAlignment: UInt8 = 0
  var maximumTransferShift: UInt8 = 8
  var writeZeroesShift: UInt8 = 0
  var datasetRangeLimit: UInt32 = 0
  var deallocateFeatures: UInt8 = 0x9
  var optionalCommands: OptionalCommands = [.datasetManagement, .writeZeroes]
  var maximumQueueEntriesZeroBased: UInt16 = 127
  var grantedQueues = 16
  var readyAfterPolls = 2
  var misbehaviour: Misbehaviour?
  /// Digests of ICResp instead of those asked for.
  var digests: UInt8?
  var corruptsDataDigest = false
  var status: [UInt8: Status] = [:]
  var answersKeepAlive = true
  var answersIO = true
  var accessState = ANAState.optimized
  var discovery: [DiscoveryLogEntry] = []
  /// How often the discovery log changes while it is read.
  var discoveryChanges = 0
  /// Sends an error response before the data that it asked for have come.
  var answersWritesEarly = false
  /// Every so many bytes on I/O queues one is flipped at random; 0 for none.
  var noise: UInt64 = 0
  var noisyAdmin = false
  var noiseSeed: UInt64 = 1
}

/// What a fake controller has seen.
struct Sightings: Sendable {
  struct Command: Equatable, Sendable {
    var opcode: UInt8
    var startingLBA: UInt64
    var blockCount: UInt64
    var forceUnitAccess = false
    var deallocate = false
  }
  var commands: [Command] = []
  var terminations: [UInt16] = []
  var connects: [UInt16] = []
  var queueSizes: [UInt16] = []
  var keepAlives = 0
  var shutdowns = 0
  var digestFaults = 0
  var largestHostData: UInt32 = 0
  var hostDataPDUs = 0
  var inCapsuleWrites = 0
  var misalignedData = 0
  var maximumOutstanding = 0
  var connectData: ConnectData?
  /// PDUs that could not be decoded.
  var failures: [String] = []
}

/// An NVMe/TCP controller for tests: threads with blocking reads, one per connection, over memory shared by all.
final class FakeController: Sendable {
  struct State {
    var script: Script
    var sightings = Sightings()
    var memory: [UInt8]
    var connections: [Int32] = []
    var events: [AsynchronousEvent] = []
    var isStopped = false
    var hasMisbehaved = false
    var discoveryGeneration: UInt64 = 1
  }

  let state: Mutex<State>
  let address: SocketAddress
  private let listener: Int32

  init(_ script: Script = Script()) throws {
    let bytes = Int(min(script.sizeBlocks << UInt64(script.blockShift), 16 << 20))
    state = Mutex(State(script: script, memory: [UInt8](repeating: 0, count: bytes)))
    listener = try Socket.listen(on: SocketAddress("127.0.0.1:0")!)
    address = Socket.localAddress(listener)!
    Thread.start(name: "fake") { [self] in acceptConnections() }
  }

  var sightings: Sightings { state.withLock { $0.sightings } }
  func memory(_ range: Range<Int>) -> [UInt8] { state.withLock { Array($0.memory[range]) } }
  func change(_ body: (inout State) -> Void) { state.withLock { body(&$0) } }

  /// Ends all connections; new ones are accepted.
  func dropConnections() {
    let all = state.withLock { state in
      defer { state.connections = [] }
      return state.connections
    }
    for descriptor in all { shutdown(descriptor, Int32(SHUT_RDWR)) }
  }

  func stop() {
    state.withLock { $0.isStopped = true }
    dropConnections()
  }

  private func acceptConnections() {
    while !state.withLock({ $0.isStopped }) {
      var waiting = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
      guard unsafe poll(&waiting, 1, 50) > 0, let descriptor = Socket.accept(listener) else { continue }
      state.withLock { $0.connections.append(descriptor) }
      Thread.start(name: "fake-queue") { [self] in
        FakeConnection(self, descriptor).run()
        state.withLock { state in state.connections.removeAll { $0 == descriptor } }
        close(descriptor)
      }
    }
    close(listener)
  }
}

/// Bytes that `body` fills in.
func encoded(_ byteCount: Int, _ body: (inout MutableRawSpan) -> Void) -> [UInt8] {
  var bytes = [UInt8](repeating: 0, count: byteCount)
  unsafe bytes.withUnsafeMutableBytes { raw in
    var span = unsafe MutableRawSpan(_unsafeBytes: raw)
    body(&span)
  }
  return bytes
}
