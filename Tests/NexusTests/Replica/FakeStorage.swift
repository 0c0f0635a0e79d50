import Glibc
import Pool
import Reactor

@testable import Nexus

/// A replica's storage that does what the test says, when it says so.
@safe final class FakeStorage: ReplicaStorage {
  enum Step: Equatable {
    case storeClaim(ReplicaClaim)
    case setRegions(RegionSetName, [Range<Int>], isMember: Bool)
    case forgetPeer(Identifier)
    case clearLostCache
    case createSnapshot(Identifier)
    case deleteSnapshot(Identifier)
    case grow(UInt64)
  }

  static let name = Identifier.random()
  let reactor: Reactor
  private(set) var contents: [UInt8]
  /// What was asked and not answered, in order.
  private(set) var steps: [Step] = []
  private var stepAnswers: [Done] = []
  /// Requests not answered yet.
  private(set) var requests: [BlockRequest] = []
  private var clients: [BlockClient] = []
  private(set) var discarded = 0
  /// Answers control steps as soon as they are asked.
  var isPrompt = true
  /// Answers requests in the next pass.
  var isFast = true
  var facts = ReplicaMetadata(claim: .none, bootID: .none, mayHaveLostCache: false, hotRegions: [], missed: [])
  var ranges: [Range<UInt64>] = []
  var busyReads = 0
  private(set) var closedSnapshots = 0

  init(reactor: Reactor, sizeBytes: UInt64) {
    self.reactor = reactor
    contents = [UInt8](repeating: 0, count: Int(sizeBytes))
    super.init(sizeBytes: sizeBytes, blockSizeBytes: 512)
    reactor.register(self)
  }

  override var id: Identifier { Self.name }
  override var metadata: ReplicaMetadata { facts }
  override var options: PoolOptions { PoolOptions(overcommitPercent: 0, regionBytes: 64 << 10, maximumHotRegions: 8) }
  override var isWriteThrough: Bool { false }
  override var snapshots: [Identifier] { [Identifier("00000000-0000-4000-8000-000000000001")!] }

  func fill(_ range: Range<Int>, _ byte: UInt8) { for index in range { contents[index] = byte } }

  // MARK: Data

  override func submit(_ request: BlockRequest, for client: BlockClient) {
    requests.append(request)
    clients.append(client)
    if isFast { reactor.postpone(handlerID, token: 0, result: 0) }
  }

  override func discardUnstarted(of client: BlockClient) { discarded += 1 }

  override func completed(token: UInt64, result: Int32) { if isFast { finishRequests() } }

  func finishRequests(_ status: BlockStatus = .success) {
    let (due, owners) = (requests, clients)
    requests = []
    clients = []
    for (request, client) in zip(due, owners) {
      var outcome = status
      let start = Int(request.offsetBytes)
      if request.operation == .read, busyReads > 0 {
        busyReads -= 1
        outcome = .busy
      } else if request.operation == .read, let buffer = unsafe request.buffer {
        for index in 0..<Int(request.byteCount) {
          unsafe buffer.storeBytes(of: contents[start + index], toByteOffset: index, as: UInt8.self)
        }
      } else if request.operation == .write, let buffer = unsafe request.buffer {
        for index in 0..<Int(request.byteCount) { contents[start + index] = unsafe buffer.load(fromByteOffset: index, as: UInt8.self) }
      }
      client.blockRequestCompleted(token: request.token, status: outcome)
    }
  }

  // MARK: Steps

  private func take(_ step: Step, _ done: @escaping Done) {
    steps.append(step)
    stepAnswers.append(done)
    if isPrompt { finishStep() }
  }

  func finishStep(_ refusal: ReplicaRefusal? = nil) {
    let step = steps.removeFirst()
    let done = stepAnswers.removeFirst()
    if refusal == nil { apply(step) }
    done(refusal)
  }

  private func apply(_ step: Step) {
    switch step {
    case .storeClaim(let claim): change(claim: claim)
    case .setRegions(.activity, let regions, let isMember):
      let named = Set(regions.flatMap(Array.init))
      let hot = Set(facts.hotRegions)
      change(hot: (isMember ? hot.union(named) : hot.subtracting(named)).sorted())
    case .setRegions(.missed, _, _), .forgetPeer, .createSnapshot, .deleteSnapshot, .clearLostCache: break
    case .grow(let size):
      contents += [UInt8](repeating: 0, count: Int(size) - contents.count)
      grow(toSizeBytes: size)
    }
  }

  private func change(claim: ReplicaClaim? = nil, hot: [Int]? = nil) {
    facts = ReplicaMetadata(
      claim: claim ?? facts.claim, bootID: facts.bootID, mayHaveLostCache: facts.mayHaveLostCache, hotRegions: hot ?? facts.hotRegions,
      missed: facts.missed)
  }

  override func storeClaim(_ claim: ReplicaClaim, done: @escaping Done) { take(.storeClaim(claim), done) }
  override func setRegions(_ set: RegionSetName, _ regions: [Range<Int>], isMember: Bool, done: @escaping Done) {
    take(.setRegions(set, regions, isMember: isMember), done)
  }
  override func forgetPeer(_ peer: Identifier, done: @escaping Done) { take(.forgetPeer(peer), done) }
  override func clearLostCache(done: @escaping Done) { take(.clearLostCache, done) }
  override func allocatedRanges(fromOffsetBytes: UInt64, limit: Int) -> (ranges: [Range<UInt64>], next: UInt64?) {
    let all = ranges.filter { $0.lowerBound >= fromOffsetBytes }
    return (Array(all.prefix(limit)), all.count > limit ? all[limit].lowerBound : nil)
  }
  override func createSnapshot(_ id: Identifier, sizeBytes: UInt64, done: @escaping Done) { take(.createSnapshot(id), done) }
  override func changedRanges(
    of later: Identifier?, since earlier: Identifier?, fromOffsetBytes: UInt64, limit: Int
  ) -> (ranges: [Range<UInt64>], next: UInt64?)? {
    later == nil && earlier == nil ? allocatedRanges(fromOffsetBytes: fromOffsetBytes, limit: limit) : nil
  }
  override func openSnapshot(_ id: Identifier) -> BlockDevice? { snapshots.contains(id) ? self : nil }
  override func closeSnapshot(_ snapshot: BlockDevice) { closedSnapshots += 1 }
  override func deleteSnapshot(_ id: Identifier, done: @escaping Done) { take(.deleteSnapshot(id), done) }
  override func grow(toSizeBytes: UInt64, done: @escaping Done) { take(.grow(toSizeBytes), done) }
}
