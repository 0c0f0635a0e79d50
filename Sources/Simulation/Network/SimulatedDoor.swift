import Glibc
import Nexus
import Reactor

/// A nexus's connection to a replica on another node, with both ends of it.
///
/// Ordered in each direction. When it breaks, what had reached the other side goes on there (R11); the nexus hears `.connectionLost`.
@safe final class SimulatedDoor: ReplicaDoor {
  private typealias Answer = (Result<ReplicaAnswer, ReplicaRefusal>) -> Void

  let nexusProcess: NodeProcess
  let gateProcess: NodeProcess
  private let world: World
  private let session: ReplicaSession
  private let side: GateSide
  private let toGate: Pipe
  private let toNexus: Pipe
  private var requests: [Int: Pending] = [:]
  private var answers: [Int: Answer] = [:]
  private var nextNumber = 0
  private var isLostAtNexus = false
  private var isClosedAtGate = false
  /// Told when the nexus's end is lost.
  var over: () -> Void = {}

  @safe private struct Pending {
    let request: BlockRequest
    let client: BlockClient
    let parcel: Parcel
  }

  init(world: World, network: Network, nexusProcess: NodeProcess, gateProcess: NodeProcess, session: ReplicaSession) {
    self.world = world
    self.nexusProcess = nexusProcess
    self.gateProcess = gateProcess
    self.session = session
    side = GateSide()
    toGate = Pipe(world: world, network: network, from: nexusProcess.node, to: gateProcess.node)
    toNexus = Pipe(world: world, network: network, from: gateProcess.node, to: nexusProcess.node)
    super.init(sizeBytes: session.sizeBytes, blockSizeBytes: session.blockSizeBytes)
    side.finished = { [unowned self] in reply($0, $1) }
    session.sessionEnded = { [weak self] in self?.sessionOver($0) }
    network.add(self)
  }

  var isLost: Bool { isLostAtNexus }

  /// Lets go of everything; nothing happens any more.
  func dispose() {
    requests = [:]
    answers = [:]
    toGate.discard()
    toNexus.discard()
    over = {}
    side.finished = { _, _ in }
    session.sessionEnded = nil
    sessionEnded = nil
  }

  var isOver: Bool { (isLostAtNexus || !nexusProcess.isAlive) && (isClosedAtGate || !gateProcess.isAlive) }

  func joins(_ one: Int, _ other: Int) -> Bool {
    (nexusProcess.node == one && gateProcess.node == other) || (nexusProcess.node == other && gateProcess.node == one)
  }

  func pump() {
    toGate.pump()
    toNexus.pump()
  }

  // MARK: At the nexus

  override func submit(_ request: BlockRequest, for client: BlockClient) {
    let number = nextNumber
    nextNumber += 1
    if isLostAtNexus {
      return nexusProcess.enqueue { client.blockRequestCompleted(token: request.token, status: .connectionLost) }
    }
    let parcel = Parcel(request)
    requests[number] = Pending(request: request, client: client, parcel: parcel)
    toGate.send { [self] in
      parcel.takePayload()
      gateProcess.enqueue { [self] in
        if isClosedAtGate { return }
        side.take(parcel, number)
        session.submit(parcel.request(token: number), for: side)
      }
    }
  }

  override func discardUnstarted(of client: BlockClient) {}

  override func ask(_ question: ReplicaQuestion, then answer: @escaping (Result<ReplicaAnswer, ReplicaRefusal>) -> Void) {
    let number = nextNumber
    nextNumber += 1
    world.note(.nexus, gateProcess.node, number) { "\(nexusProcess.node) asks \(gateProcess.node): \(question)" }
    if isLostAtNexus { return nexusProcess.enqueue { answer(.failure(.lost)) } }
    answers[number] = { [self] result in
      switch (question, result) {
      case (.grow(let size), .success) where size > sizeBytes: grow(toSizeBytes: size)
      case (_, .success(.claimed(let claimed))) where claimed.sizeBytes > sizeBytes: grow(toSizeBytes: claimed.sizeBytes)
      default: break
      }
      answer(result)
    }
    toGate.send { [self] in
      gateProcess.enqueue { [self] in
        if isClosedAtGate { return }
        session.ask(question) { [self] result in
          toNexus.send { [self] in nexusProcess.enqueue { [self] in answered(number, result) } }
        }
      }
    }
  }

  private func answered(_ number: Int, _ result: Result<ReplicaAnswer, ReplicaRefusal>) {
    guard let answer = answers.removeValue(forKey: number) else { return }
    world.note(.nexus, gateProcess.node, number) { "\(gateProcess.node) answers \(nexusProcess.node): \(result)" }
    answer(result)
  }

  private func completed(_ number: Int, _ status: BlockStatus, _ parcel: Parcel) {
    guard let pending = requests.removeValue(forKey: number) else { return }
    if status == .success { parcel.givePayload(pending.request) }
    pending.client.blockRequestCompleted(token: pending.request.token, status: status)
  }

  /// The nexus hears no more of the replica.
  func giveUpAtNexus() { nexusProcess.enqueue { [self] in lose(.lost) } }

  private func lose(_ reason: ReplicaRefusal) {
    if isLostAtNexus { return }
    world.note(.network, nexusProcess.node, gateProcess.node) { "\(nexusProcess.node) lost its connection to \(gateProcess.node)" }
    isLostAtNexus = true
    toNexus.discard()
    // The nexus may use its buffers again from now on; what is on the way has its own copy.
    for number in requests.keys.sorted() { requests[number]?.parcel.takePayload() }
    toGate.close { [self] in giveUpAtGate() }
    for number in requests.keys.sorted() { completed(number, .connectionLost, requests[number]!.parcel) }
    for number in answers.keys.sorted() { answers.removeValue(forKey: number)?(.failure(.lost)) }
    sessionEnded?(reason)
    over()
  }

  /// The nexus's process is gone. Without power, nobody tells the replica.
  func nexusProcessEnded(silently: Bool = false) {
    if isLostAtNexus { return }
    isLostAtNexus = true
    toNexus.discard()
    for number in requests.keys.sorted() { requests[number]?.parcel.takePayload() }
    requests = [:]
    answers = [:]
    toGate.close(end: silently ? nil : { [self] in giveUpAtGate() })
  }

  // MARK: At the replica

  private func reply(_ number: Int, _ status: BlockStatus) {
    let parcel = side.release(number)
    toNexus.send { [self] in nexusProcess.enqueue { [self] in completed(number, status, parcel) } }
  }

  /// The gate ended the session: a higher claim. The connection ends after what was sent.
  private func sessionOver(_ reason: ReplicaRefusal) {
    if isClosedAtGate { return }
    isClosedAtGate = true
    let told: ReplicaRefusal = world.generator.chance(50) ? reason : .lost
    toNexus.send { [self] in nexusProcess.enqueue { [self] in lose(told) } }
    session.close()
  }

  /// The replica's side hears no more of the nexus.
  func giveUpAtGate() {
    gateProcess.enqueue { [self] in
      if isClosedAtGate { return }
      isClosedAtGate = true
      toGate.discard()
      session.close()
      toNexus.close { [self] in giveUpAtNexus() }
    }
  }

  /// The replica's process is gone.
  func gateProcessEnded() {
    if isClosedAtGate { return }
    isClosedAtGate = true
    toGate.discard()
    toNexus.close { [self] in giveUpAtNexus() }
  }

  /// A request on its way, with memory of its own for the payload.
  @safe final class Parcel {
    private let original: BlockRequest
    private let memory: UnsafeMutableRawPointer?
    private var hasPayload = false

    init(_ request: BlockRequest) {
      original = request
      let isTransfer = request.operation == .read || request.operation == .write
      unsafe memory = isTransfer ? .allocate(byteCount: max(4096, Int(request.byteCount)), alignment: 4096) : nil
    }

    deinit { unsafe memory?.deallocate() }

    /// Copies a write's bytes out of the nexus's buffer; once.
    func takePayload() {
      guard original.operation == .write, !hasPayload, let memory = unsafe memory, let buffer = unsafe original.buffer else { return }
      unsafe memcpy(memory, buffer, Int(original.byteCount))
      hasPayload = true
    }

    func request(token: Int) -> BlockRequest {
      var request = original
      unsafe request.buffer = memory
      request.token = UInt64(token)
      return request
    }

    /// Copies a read's bytes into the nexus's buffer.
    func givePayload(_ request: BlockRequest) {
      guard request.operation == .read, let memory = unsafe memory, let buffer = unsafe request.buffer else { return }
      unsafe memcpy(buffer, memory, Int(request.byteCount))
    }
  }

  /// Whom the replica answers.
  private final class GateSide: BlockClient {
    private var parcels: [Int: Parcel] = [:]
    var finished: (Int, BlockStatus) -> Void = { _, _ in }

    func take(_ parcel: Parcel, _ number: Int) { parcels[number] = parcel }

    func release(_ number: Int) -> Parcel {
      guard let parcel = parcels.removeValue(forKey: number) else { preconditionFailure("a request ended twice") }
      return parcel
    }

    override func blockRequestCompleted(token: UInt64, status: BlockStatus) { finished(Int(token), status) }
  }
}
