import Dispatch
import Foundation
import Host
import NVMe
import Reactor

/// Notices the death of nodes on the data path, seconds before their leases end: keeps an association with every node that shares a volume with
/// this one, and says in the store which process was lost.
///
/// Whoever is lost and comes back is taken off the list. All state belongs to `queue`.
final class PeerWatcher: @unchecked Sendable {
  /// A peer whose attempts fail is looked up anew after so many: it may have another address by now.
  private static let attemptsPerLook = 4
  private static let lookSeconds = 2.0

  private final class Peer {
    var incarnation: String?
    var association: ReactorBound<PeerAssociation>?
    var isConnected = false
    var failures = 0
    /// Tells late news of an earlier association from those of this one.
    var round = 0
  }

  private let node: NodeContext
  private let host: HostIdentity
  private let queue = DispatchQueue(label: "keelson.peers")
  private var peers: [String: Peer] = [:]
  private var lost: [String: String] = [:]
  private var told: PeerStatus?
  private var isStopped = false
  private var seclusion: SeclusionWatch?
  private var tellLost: @Sendable (String) -> Void = { _ in }

  init(node: NodeContext) {
    self.node = node
    host = HostIdentity(name: QualifiedName(NQN.node(node.name))!, identifier: Identifier128(UUID().uuidString.lowercased())!)
  }

  /// `lost` hears of each peer that is lost, `secluded` when this node reaches neither a peer nor the store, and when it does again; on queues
  /// of their own.
  func tell(lost: @escaping @Sendable (String) -> Void, secluded: @escaping @Sendable (Bool) -> Void) {
    let (store, key) = (node.store, Keys.nodeStatus(node.name))
    queue.async { [self] in
      tellLost = lost
      seclusion = SeclusionWatch(
        ask: {
          do {
            _ = try store.get(key)
            return true
          } catch {
            return false
          }
        }, tell: secluded)
    }
  }

  /// From now on these, and no others.
  func follow(_ names: Set<String>) {
    queue.async { [self] in
      if isStopped { return }
      for name in peers.keys.filter({ !names.contains($0) }).sorted() {
        end(peers.removeValue(forKey: name)!)
        lost[name] = nil
      }
      for name in names.sorted() where peers[name] == nil && name != node.name {
        peers[name] = Peer()
        look(name)
      }
      publish()
    }
  }

  /// Peers with which an association is up.
  var connected: Set<String> { queue.sync { Set(peers.filter { $0.value.isConnected }.keys) } }

  func stop() {
    queue.sync {
      isStopped = true
      seclusion?.stop()
      for name in peers.keys.sorted() { end(peers[name]!) }
      peers = [:]
    }
  }

  private func end(_ peer: Peer) {
    peer.round += 1
    peer.isConnected = false
    guard let association = peer.association else { return }
    peer.association = nil
    node.reactors[0].post { _ in association.value.close() }
  }

  /// Finds out where a peer is, and connects.
  private func look(_ name: String) {
    guard !isStopped, let peer = peers[name], peer.association == nil else { return }
    let status: NodeStatus?
    do {
      status = try node.store.object(NodeStatus.self, at: Keys.nodeStatus(name))?.object
    } catch {
      return lookLater(name)
    }
    guard let status, let place = status.peerAddress else {
      // Without a lease it is lost already, for all to see.
      lost[name] = nil
      publish()
      return lookLater(name)
    }
    if lost[name] != status.incarnation { lost[name] = nil }
    peer.incarnation = status.incarnation
    peer.failures = 0
    peer.round += 1
    let round = peer.round
    let transport = node.transports[0]
    peer.association = node.reactors[0].call { [host, queue] _ in
      let association = PeerAssociation(context: transport.value, address: place, host: host) { news in
        queue.async { [weak self] in self?.heard(news, of: name, round: round) }
      }
      association.start()
      return ReactorBound(association)
    }
    publish()
  }

  private func lookLater(_ name: String) {
    queue.asyncAfter(deadline: .now() + Self.lookSeconds) { [weak self] in self?.look(name) }
  }

  private func heard(_ news: PeerAssociation.News, of name: String, round: Int) {
    guard !isStopped, let peer = peers[name], peer.round == round else { return }
    switch news {
    case .connected:
      peer.isConnected = true
      peer.failures = 0
      lost[name] = nil
      // It may be another process than before.
      if let status = try? node.store.object(NodeStatus.self, at: Keys.nodeStatus(name))?.object { peer.incarnation = status.incarnation }
    case .lost:
      peer.isConnected = false
      tellLost(name)
      if let incarnation = peer.incarnation {
        lost[name] = incarnation
        node.log.write("lost the connection to \(name)")
      }
    case .failed:
      peer.failures += 1
      if peer.failures >= Self.attemptsPerLook {
        end(peer)
        return look(name)
      }
    }
    publish()
  }

  private func publish() {
    seclusion?.setAlone(!peers.isEmpty && peers.values.allSatisfy { !$0.isConnected })
    let status = PeerStatus(
      incarnation: node.incarnation,
      lost: lost.keys.sorted().map { PeerStatus.Lost(node: $0, incarnation: lost[$0]!) })
    if status == told || (told == nil && status.lost.isEmpty) { return }
    told = status
    node.publish(status, at: Keys.peerStatus(node: node.name))
  }
}

extension NodeStatus {
  /// Where other nodes reach its target; nil for an address that makes no sense.
  var peerAddress: SocketAddress? {
    guard let address = addresses.last, let port = UInt16(address.trsvcid) else { return nil }
    return SocketAddress(host: address.traddr, port: port)
  }
}
