import CLinux
import Glibc
import NVMe
import Reactor
import Synchronization

/// One connection of a fake controller: reads a PDU, does what it asks for, answers.
final class FakeConnection {
  struct Ended: Error {}

  let owner: FakeController
  let descriptor: Int32
  var script: Script
  var headerDigest = false
  var dataDigest = false
  var queue: UInt16 = 0
  var polls = 0
  var configuration = ControllerConfiguration(rawValue: 0)
  var parkedEvents: [UInt16] = []
  /// Writes that wait for data: by command identifier.
  var writes: [UInt16: (entry: SubmissionEntry, data: [UInt8], received: Int, requested: Int)] = [:]
  var noise: UInt64

  init(_ owner: FakeController, _ descriptor: Int32) {
    self.owner = owner
    self.descriptor = descriptor
    script = owner.state.withLock { $0.script }
    noise = script.noiseSeed &* 0x9E37_79B9_7F4A_7C15 | 1
  }

  // MARK: Bytes

  func read(_ count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      if unsafe poll(&waiting, 1, 10) == 0 {
        sendEvents()
        if owner.state.withLock({ $0.isStopped }) { throw Ended() }
        continue
      }
      let offset = filled
      let got = unsafe bytes.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress! + offset, count - offset, 0) }
      if got < 0 && (errno == EAGAIN || errno == EINTR) { continue }
      if got <= 0 { throw Ended() }
      filled += got
    }
    return bytes
  }

  func write(_ original: [UInt8]) throws {
    var bytes = original
    if script.noise > 0, queue > 0 || script.noisyAdmin {
      for index in bytes.indices {
        noise ^= noise << 13
        noise ^= noise >> 7
        noise ^= noise << 17
        if noise % script.noise == 0 { bytes[index] ^= UInt8(truncatingIfNeeded: noise >> 32) | 1 }
      }
    }
    var sent = 0
    while sent < bytes.count {
      let offset = sent
      let put = unsafe bytes.withUnsafeBytes {
        unsafe send(descriptor, $0.baseAddress! + offset, $0.count - offset, Int32(MSG_NOSIGNAL))
      }
      if put < 0 && (errno == EAGAIN || errno == EINTR) {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        unsafe poll(&waiting, 1, 100)
        if owner.state.withLock({ $0.isStopped }) { throw Ended() }
        continue
      }
      if put <= 0 { throw Ended() }
      sent += put
    }
  }

  /// A header with its digest.
  func sealed(_ header: [UInt8]) -> [UInt8] {
    guard headerDigest else { return header }
    let checksum = unsafe CRC32C.checksum(header.span.bytes)
    return header + (0..<4).map { UInt8(truncatingIfNeeded: checksum >> (8 * UInt32($0))) }
  }

  // MARK: PDUs

  func run() {
    do {
      while true { try receivePDU() }
    } catch is Ended {
    } catch {
      // Something of the host's that cannot be read.
      owner.change { $0.sightings.failures.append("\(error)") }
    }
  }

  private func receivePDU() throws {
    let start = try read(8)
    let common = unsafe try PDUCommonHeader(decoding: start.span.bytes)
    guard common.totalLength >= 8, common.totalLength < 4 << 20 else { throw Ended() }
    let bytes = start + (try read(Int(common.totalLength) - 8))
    let length = Int(common.headerLength)
    if common.hasHeaderDigest {
      let wanted = unsafe CRC32C.checksum(bytes.span.bytes.extracting(first: length))
      if unsafe bytes.span.bytes.littleEndian(at: length, as: UInt32.self) != wanted { owner.change { $0.sightings.digestFaults += 1 } }
    }
    var data: [UInt8] = []
    if common.dataOffset > 0 {
      let end = Int(common.totalLength) - (common.hasDataDigest ? 4 : 0)
      data = Array(bytes[Int(common.dataOffset)..<end])
      let alignment = (Int(script.controllerDataAlignment) + 1) * 4
      if Int(common.dataOffset) % alignment != 0 { owner.change { $0.sightings.misalignedData += 1 } }
      if common.hasDataDigest, unsafe bytes.span.bytes.littleEndian(at: end, as: UInt32.self) != CRC32C.checksum(data.span.bytes) {
        owner.change { $0.sightings.digestFaults += 1 }
      }
    }
    let wantsHeaderDigest = headerDigest && common.type != .hostToControllerTermination
    if common.hasHeaderDigest != wantsHeaderDigest || (!data.isEmpty && common.hasDataDigest != dataDigest) {
      owner.change { $0.sightings.digestFaults += 1 }
    }
    switch common.type {
    case .initializeConnectionRequest:
      let request = unsafe try InitializeConnectionRequest(decoding: bytes.span.bytes)
      let digests = script.digests ?? request.digests
      headerDigest = digests & 1 != 0
      dataDigest = digests & 2 != 0
      try write(initializationResponse())
    case .capsuleCommand:
      let capsule = unsafe try CapsuleCommandHeader(decoding: bytes.span.bytes)
      if capsule.entry.opcode == AdminOpcode.fabrics.rawValue {
        try fabrics(capsule.entry, data)
      } else if queue == 0 {
        try adminCommand(capsule.entry)
      } else {
        try ioCommand(capsule.entry, data)
      }
    case .hostToControllerData: unsafe try receivedData(try DataHeader(decoding: bytes.span.bytes), data)
    case .hostToControllerTermination:
      let request = unsafe try TerminationRequest(decoding: bytes.span.bytes)
      owner.change { $0.sightings.terminations.append(request.statusCode) }
      throw Ended()
    default: throw Ended()
    }
  }

  func initializationResponse() -> [UInt8] {
    encoded(128) {
      InitializeConnectionResponse(
        headerDigest: headerDigest, dataDigest: dataDigest, controllerDataAlignment: script.controllerDataAlignment,
        maximumHostToControllerDataLength: script.maximumHostData
      ).encode(into: &$0)
    }
  }

  func respond(_ identifier: UInt16, _ status: Status = .success, result: UInt64 = 0) throws {
    try write(response(identifier, status, result: result))
  }

  func response(_ identifier: UInt16, _ status: Status = .success, result: UInt64 = 0) -> [UInt8] {
    sealed(
      encoded(24) {
        CapsuleResponse(CompletionEntry(commandIdentifier: identifier, status: status, result: result), headerDigest: headerDigest)
          .encode(into: &$0)
      })
  }

  /// A C2HData PDU; `length` and `offset` may lie.
  func dataPDU(_ identifier: UInt16, _ data: [UInt8], offset: Int, isLast: Bool, isSuccess: Bool, claimedLength: Int? = nil) -> [UInt8] {
    var header = DataHeader.controllerToHost(
      commandIdentifier: identifier, dataOffset: UInt32(offset), dataLength: UInt32(data.count), isLast: isLast, isSuccess: isSuccess,
      headerDigest: headerDigest, dataDigest: dataDigest)
    if let claimedLength { header.dataLength = UInt32(claimedLength) }
    var bytes = sealed(encoded(24) { header.encode(into: &$0) }) + data
    if dataDigest {
      let checksum = unsafe CRC32C.checksum(data.span.bytes) ^ (script.corruptsDataDigest && queue > 0 ? 1 : 0)
      bytes += (0..<4).map { UInt8(truncatingIfNeeded: checksum >> (8 * UInt32($0))) }
    }
    return bytes
  }

  func sendData(_ identifier: UInt16, _ data: [UInt8], pieces: Int = 1, withSuccess: Bool = false) throws {
    var bytes: [UInt8] = []
    let size = max((data.count / max(pieces, 1) + 3) & ~3, 4)
    var offset = 0
    while offset < data.count {
      let end = min(offset + size, data.count)
      let isLast = end == data.count
      bytes += dataPDU(identifier, Array(data[offset..<end]), offset: offset, isLast: isLast, isSuccess: isLast && withSuccess)
      offset = end
    }
    if !withSuccess { bytes += response(identifier) }
    try write(bytes)
  }

  func request(_ identifier: UInt16, offset: Int, length: Int) -> [UInt8] {
    sealed(
      encoded(24) {
        ReadyToTransfer(
          commandIdentifier: identifier, transferTag: identifier ^ 0x5555, requestedOffset: UInt32(offset), requestedLength: UInt32(length),
          headerDigest: headerDigest
        ).encode(into: &$0)
      })
  }

  // MARK: Fabrics

  private func fabrics(_ entry: SubmissionEntry, _ data: [UInt8]) throws {
    if let status = script.status[AdminOpcode.fabrics.rawValue] {
      try respond(entry.commandIdentifier, status)
      return
    }
    switch entry.fabricsCommandType {
    case .connect:
      queue = entry.connectQueueIdentifier
      let connect = unsafe try ConnectData(decoding: data.span.bytes)
      owner.change { [queue] state in
        state.sightings.connects.append(queue)
        state.sightings.queueSizes.append(entry.connectQueueSizeZeroBased)
        state.sightings.connectData = connect
      }
      try respond(entry.commandIdentifier, result: 7)
    case .propertyGet:
      var value: UInt64 = 0
      if entry.propertyOffset == ControllerProperty.capabilities.rawValue {
        var capabilities = ControllerCapabilities(rawValue: 0)
        capabilities.commandSets = 1
        capabilities.maximumQueueEntriesZeroBased = script.maximumQueueEntriesZeroBased
        capabilities.timeoutHalfSeconds = 1
        value = capabilities.rawValue
      } else if entry.propertyOffset == ControllerProperty.status.rawValue {
        polls += 1
        var status = ControllerStatus(rawValue: 0)
        status.isReady = configuration.isEnabled && polls > script.readyAfterPolls
        if configuration.shutdown == .normal { status.shutdown = polls > script.readyAfterPolls + 2 ? .complete : .occurring }
        value = UInt64(status.rawValue)
      }
      try respond(entry.commandIdentifier, result: value)
    case .propertySet:
      configuration = ControllerConfiguration(rawValue: UInt32(truncatingIfNeeded: entry.propertyValue))
      if configuration.shutdown == .normal { owner.change { $0.sightings.shutdowns += 1 } }
      try respond(entry.commandIdentifier)
    default: try respond(entry.commandIdentifier, .invalidOpcode)
    }
  }

  /// Answers a parked event request when the test has an event.
  private func sendEvents() {
    guard let identifier = parkedEvents.first, let event = owner.state.withLock({ $0.events.isEmpty ? nil : $0.events.removeFirst() })
    else { return }
    parkedEvents.removeFirst()
    try? respond(identifier, result: UInt64(event.rawValue))
  }
}
