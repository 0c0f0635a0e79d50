import NVMe
import Reactor
import Transport

/// Reads what a discovery service knows (NVMe Base 2.0, 5.16.1.23).
public enum Discovery {
  /// A service with more entries is refused: the list is kept in memory.
  public static let maximumEntryCount = 1024

  /// Connects to the discovery subsystem at `address`, reads its log in one consistent state, and disconnects.
  ///
  /// `completion` is called once, later, on the reactor's thread. Of the options those of queues and namespaces have no meaning.
  public static func read(
    context: TransportContext, address: SocketAddress, host: HostIdentity, options: HostOptions = HostOptions(),
    completion: @escaping (Result<[DiscoveryLogEntry], HostError>) -> Void
  ) {
    var options = options
    options.keepAliveMilliseconds = 0
    options.reconnect = .never
    let controller = RemoteController(
      context: context, addresses: [address], subsystem: .discovery, host: host, options: options, kind: .discovery)
    DiscoveryReader(controller, completion).start()
  }
}

/// One reading of a discovery log. Kept alive by what it waits for.
final class DiscoveryReader {
  private static let entriesPerRead = 16
  /// A log that changes under every one of so many readings is not read.
  private static let maximumAttempts = 5

  private let controller: RemoteController
  private var completion: ((Result<[DiscoveryLogEntry], HostError>) -> Void)?
  private var attempts = 0
  private var generation: UInt64 = 0
  private var expectedCount = 0
  private var entries: [DiscoveryLogEntry] = []

  init(_ controller: RemoteController, _ completion: @escaping (Result<[DiscoveryLogEntry], HostError>) -> Void) {
    self.controller = controller
    self.completion = completion
  }

  func start() {
    controller.establish { [self] result in
      switch result {
      case .success: begin()
      case .failure(let error): finish(.failure(error))
      }
    }
  }

  private func begin() {
    attempts += 1
    guard attempts <= Self.maximumAttempts else {
      fail(.unsupported("the discovery log kept changing while it was read; try again"))
      return
    }
    readHeader { [self] header in
      guard header.recordCount <= UInt64(Discovery.maximumEntryCount) else {
        fail(.unsupported("the discovery log has \(header.recordCount) entries, more than \(Discovery.maximumEntryCount)"))
        return
      }
      generation = header.generation
      expectedCount = Int(header.recordCount)
      entries = []
      readEntries()
    }
  }

  private func readEntries() {
    guard entries.count < expectedCount else {
      // Only a log whose generation is still the same was read in one state.
      readHeader { [self] header in
        if header.generation == generation { finish(.success(entries)) } else { begin() }
      }
      return
    }
    let perRead = max(min(Self.entriesPerRead, Int(limit) / DiscoveryLogEntry.byteCount), 1)
    let count = min(expectedCount - entries.count, perRead)
    let offset = DiscoveryLogHeader.byteCount + entries.count * DiscoveryLogEntry.byteCount
    read(byteCount: count * DiscoveryLogEntry.byteCount, offset: UInt64(offset)) { [self] command in
      for index in 0..<count {
        guard let entry = command.decode({ try DiscoveryLogEntry(decoding: $0, at: index * DiscoveryLogEntry.byteCount) }) else {
          fail(.protocolViolation("an entry of the discovery log cannot be read"))
          return
        }
        entries.append(entry)
      }
      readEntries()
    }
  }

  private var limit: UInt64 { controller.association?.facts.maximumTransferBytes ?? 4096 }

  private func readHeader(next: @escaping (DiscoveryLogHeader) -> Void) {
    read(byteCount: DiscoveryLogHeader.byteCount, offset: 0) { [self] command in
      guard let header = command.decode({ try DiscoveryLogHeader(decoding: $0) }) else {
        fail(.protocolViolation("the header of the discovery log cannot be read"))
        return
      }
      next(header)
    }
  }

  private func read(byteCount: Int, offset: UInt64, next: @escaping (ControlCommand) -> Void) {
    guard let association = controller.association else {
      fail(.closedByController)
      return
    }
    let entry = SubmissionEntry.getLogPage(
      commandIdentifier: 0, identifier: LogPage.discovery.rawValue, byteCount: UInt32(byteCount), offset: offset)
    association.perform("Get Log Page discovery", entry, byteCount: byteCount) { [self] command, outcome in
      guard let outcome else {
        fail(association.reason)
        return
      }
      guard outcome.status.isSuccess else {
        fail(.refused(command: "Get Log Page discovery", status: outcome.status))
        return
      }
      next(command)
    }
  }

  private func fail(_ reason: HostError.Reason) {
    finish(.failure(HostError(reason, address: controller.address, subsystem: controller.subsystem)))
  }

  private func finish(_ result: Result<[DiscoveryLogEntry], HostError>) {
    guard let completion else { return }
    self.completion = nil
    controller.close { completion(result) }
  }
}
