import Control
import GRPC
import Host
import NVMe
import Reactor
import Synchronization
import Transport

/// Keeps connected volumes connected by every path there is: nodes that serve a volume come and go while it is in use, and its publish context
/// tells only of those at its beginning. It asks the discovery service beside a live path of each volume, from time to time, and connects
/// what is missing. A path that is gone is left to the kernel, which tries it again for ever: its node may come back.
///
/// But where a volume has no path left, and targets say in so many words that this host may not have it any more, nothing will come back: the volume
/// was taken away while it was in use (R13). Then those connections are given up, as newer kernels do by themselves, so that whoever waits for the
/// volume gets an error, processes can end, and it can be unmounted.
public final class PathFollower: Sendable {
  /// How often it looks.
  public static let intervalSeconds = 10
  private static let volumePrefix = "nqn.2026-11.io.keelson:volume:"

  private let service: NodeService
  private let isStopped = Atomic(false)

  public init(_ service: NodeService) { self.service = service }

  /// Begins, on a thread of its own.
  public func start() {
    PlainThread.start(name: "keelson-paths") { [self] in
      guard let reader = DiscoveryThread(service.options.identity) else {
        service.log("paths are not followed: no event loop could be made")
        return
      }
      while !isStopped.load(ordering: .relaxed) {
        for _ in 0..<Self.intervalSeconds * 5 where !isStopped.load(ordering: .relaxed) { service.system.pause(milliseconds: 200) }
        follow { reader.paths(at: $0) }
        giveUp { reader.isRefused(at: $0, $1) }
      }
    }
  }

  public func stop() { isStopped.store(true, ordering: .relaxed) }

  /// Looks once. `discover` gives what the service at an address knows, by subsystem; nil if it does not answer.
  func follow(discover: (PublishContext.Path) -> [String: [PublishContext.Path]]?) {
    var known: [PublishContext.Path: [String: [PublishContext.Path]]] = [:]
    var silent: Set<PublishContext.Path> = []
    for controller in ours() where controller.state == "live" {
      guard let id = VolumeID(String(controller.subsystemNQN.dropFirst(Self.volumePrefix.count))) else { continue }
      let address = PublishContext.Path(traddr: controller.transportAddress, trsvcid: controller.transportService)
      if known[address] == nil, !silent.contains(address) {
        known[address] = discover(address)
        if known[address] == nil { silent.insert(address) }
      }
      guard let paths = known[address]?[controller.subsystemNQN] else { continue }
      let isMissing = paths.contains { path in !ours().contains { $0.subsystemNQN == controller.subsystemNQN && $0.isPath(path) } }
      if !isMissing { continue }
      // Not while the volume is being staged or unstaged, and not once it was.
      service.operations.attempt(NodeService.key("\(id)")) {
        guard ours().contains(where: { $0.subsystemNQN == controller.subsystemNQN }) else { return }
        var context = PublishContext(volume: id, paths: paths)
        context.paths = paths
        // As the volume was staged: its StorageClass is not known here.
        context.controllerLossSeconds = controller.controllerLossSeconds
        context.keepAliveSeconds = controller.keepAliveSeconds
        context.ioQueues = controller.ioQueues
        do throws(GRPCError) { try service.connect(context) } catch { service.log("\(controller.subsystemNQN): \(error.message)") }
      }
    }
  }
}

extension PathFollower {
  /// Looks once for volumes that were taken away. `isRefused` says whether the target at an address refuses this host that subsystem; no answer is
  /// no refusal.
  func giveUp(isRefused: (PublishContext.Path, String) -> Bool) {
    let all = ours()
    let alive = Set(all.filter { $0.state == "live" }.map(\.subsystemNQN))
    for controller in all where !alive.contains(controller.subsystemNQN) && !controller.state.hasPrefix("deleting") {
      let path = PublishContext.Path(traddr: controller.transportAddress, trsvcid: controller.transportService)
      guard isRefused(path, controller.subsystemNQN) else { continue }
      // Also while an operation on the volume is under way: it may be what waits.
      service.log("\(controller.subsystemNQN): \(path.traddr) port \(path.trsvcid) refuses this host; \(controller.name) is given up")
      do throws(SystemFailure) { try service.system.disconnect(controller.name) } catch { service.log("\(error)") }
    }
  }

  private func ours() -> [NVMeController] {
    let hostNQN = service.options.identity.hostNQN
    return service.system.controllers().filter {
      $0.subsystemNQN.hasPrefix(Self.volumePrefix) && ($0.hostNQN == hostNQN || $0.hostNQN.isEmpty)
    }
  }
}

/// Reads discovery logs and asks targets, one at a time, on the thread that made it.
private final class DiscoveryThread {
  private static let timeoutNanoseconds: UInt64 = 8_000_000_000

  private let reactor: Reactor
  private let context: TransportContext
  private let host: HostIdentity

  init?(_ identity: NodeIdentity) {
    guard let name = QualifiedName(identity.hostNQN), let identifier = Identifier128(identity.hostID),
      let reactor = try? Reactor(configuration: Reactor.Configuration(arenaBytes: 4 << 20, spinNanoseconds: 0))
    else { return nil }
    self.reactor = reactor
    context = TransportContext(reactor: reactor)
    host = HostIdentity(name: name, identifier: identifier)
  }

  func paths(at path: PublishContext.Path) -> [String: [PublishContext.Path]]? {
    guard let port = UInt16(path.trsvcid), let address = SocketAddress(host: path.traddr, port: port) else { return nil }
    let answer = Answer()
    Discovery.read(context: context, address: address, host: host) { answer.result = $0 }
    _ = reactor.run(until: { answer.result != nil }, timeoutNanoseconds: Self.timeoutNanoseconds)
    guard case .success(let entries)? = answer.result else { return nil }
    var paths: [String: [PublishContext.Path]] = [:]
    for entry in entries where entry.transportType == 3 && entry.subsystemType == 2 {
      guard let name = entry.subsystemName else { continue }
      let text = entry.transportAddress.contains(":") ? "[\(entry.transportAddress)]" : entry.transportAddress
      // What cannot be an address does not become part of the kernel's options.
      if let path = PublishContext.Path("\(text):\(entry.serviceIdentifier)") { paths["\(name)", default: []].append(path) }
    }
    return paths
  }

  /// Whether the target there does not let this host connect to the subsystem, and says that it will not either.
  func isRefused(at path: PublishContext.Path, _ subsystem: String) -> Bool {
    guard let port = UInt16(path.trsvcid), let address = SocketAddress(host: path.traddr, port: port), let name = QualifiedName(subsystem)
    else { return false }
    let controller = RemoteController(context: context, address: address, subsystem: name, host: host)
    let answer = Refusal()
    controller.connect { result in
      answer.isRefused = false
      if case .failure(let error) = result, case .refused("Connect", let status) = error.reason {
        answer.isRefused = status.matches(.connectInvalidHost) && status.doNotRetry
      }
      controller.close { answer.isOver = true }
    }
    _ = reactor.run(until: { answer.isOver }, timeoutNanoseconds: Self.timeoutNanoseconds)
    return answer.isRefused
  }

  private final class Answer {
    var result: Result<[DiscoveryLogEntry], HostError>?
  }

  private final class Refusal {
    var isRefused = false
    var isOver = false
  }
}
