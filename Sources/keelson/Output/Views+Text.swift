import Console
import Control
import Foundation

/// Good is green, in between yellow, bad red; the words say it too.
func tone(of state: String) -> TextStyle.Tone {
  switch state {
  case "healthy", "ready", "in-sync", "optimized", "done": .green
  case "degraded", "rebuilding", "pending", "preparing", "syncing", "running", "paused", "creating", "deleting", "starting", "stopping":
    .yellow
  default: .red
  }
}

extension Collection where Element == VolumeView {
  var text: (TextStyle) -> String {
    { style in
      if isEmpty { return "No volumes. Create one with: keelson volume create NAME --size 1GiB --replicas 2\n" }
      var table = TextTable([.init("name"), .init("state"), .init("size", .right), .init("replicas", .right), .init("nexus"), .init("id")])
      for volume in self {
        let inSync = volume.replicas.filter { $0.state == .inSync }.count
        let progress = volume.replicas.compactMap(\.rebuild).map { " \(Int($0.fraction * 100)) %" }.joined()
        table.add([
          .init(volume.name), .init(volume.state.rawValue + progress, tone(of: volume.state.rawValue)), .init(ByteSize.text(volume.size)),
          .init("\(inSync)/\(volume.replicas.count)"), .init(volume.nexus?.node ?? "-"), .init("\(volume.id)"),
        ])
      }
      return table.text(style: style)
    }
  }
}

extension VolumeView {
  /// Everything about one volume, with the lines that a Linux host needs.
  func text(_ style: TextStyle) -> String {
    var text = "volume \(style.applied(.bold, to: name)) is \(style.applied(tone(of: state.rawValue), to: state.rawValue))"
    text += message.map { ": \($0)\n" } ?? "\n"
    text +=
      "  id      \(id)\n  size    \(ByteSize.text(size)) in blocks of \(blockSize) bytes\(isThick == true ? ", thick: all of its space is taken" : "")\n"
    if let nexus { text += "  nexus   on \(nexus.node)\n" }
    if let policy = rebuildPolicy {
      let limit = policy.bytesPerSecond.map { "at most \(ByteSize.text($0)) per second" }
      text += "  rebuild \([policy.isPaused ? "paused" : nil, limit].compactMap(\.self).joined(separator: ", "))\n"
    }
    if let scrub {
      text +=
        "  scrub   \(scrub.isOver ? "last \(scrub.state.rawValue) \((scrub.endedAt ?? scrub.startedAt).formatted(.iso8601)), \(scrub.differingBlocks) blocks differed, \(scrub.repairedBlocks) repaired" : scrub.line)\n"
    }
    var progress = ""
    if !replicas.isEmpty {
      var table = TextTable([.init("replica"), .init("node"), .init("pool"), .init("state")])
      for replica in replicas {
        table.add([
          .init("\(replica.id)"), .init(replica.node), .init(replica.pool), .init(replica.state.rawValue, tone(of: replica.state.rawValue)),
        ])
      }
      for replica in replicas { if let slow = replica.slow { progress += "  \(replica.node)  \(slow)\n" } }
      for rebuild in replicas.compactMap(\.rebuild) { progress += "  \(rebuild.node)  \(rebuild.bar())\n" }
      text += "\n" + table.text(style: style) + progress
    }
    if !paths.isEmpty {
      var table = TextTable([.init("path"), .init("node"), .init("ANA state")])
      for path in paths {
        table.add([.init(path.place), .init(path.node), .init(path.anaState, tone(of: path.anaState))])
      }
      text += "\n" + table.text(style: style)
    }
    if let publications {
      text += publications.isEmpty ? "\nNo host may connect: keelson volume publish \(name) --host NQN\n" : "\n"
      for publication in publications {
        let name = publication.nodeName.map { "\($0) " } ?? ""
        text += "published to \(name)\(publication.hostNQN)\(publication.readOnly ? ", read-only" : "")\n"
      }
    }
    if !paths.isEmpty {
      text += "\nOn a Linux host (modprobe nvme-tcp):\n"
      for path in paths { text += "  \(path.connectLine)\n" }
      text += "Measure it from here:\n  keelson bench \(name) --rw randread\n"
    }
    return text
  }
}

extension VolumeView.Path {
  var place: String { adrfam == "ipv6" ? "[\(traddr)]:\(trsvcid)" : "\(traddr):\(trsvcid)" }

  var connectLine: String {
    "nvme connect --transport=\(trtype) --traddr=\(traddr) --trsvcid=\(trsvcid) --nqn=\(subnqn)"
  }
}

extension Collection where Element == NodeView {
  var text: (TextStyle) -> String {
    { style in
      if isEmpty { return "No nodes. Start some with: keelson dev\n" }
      var table = TextTable([.init("name"), .init("state"), .init("pid", .right), .init("addresses"), .init("labels")])
      for node in self {
        let places = node.addresses.map { $0.adrfam == "ipv6" ? "[\($0.traddr)]:\($0.trsvcid)" : "\($0.traddr):\($0.trsvcid)" }
        table.add([
          .init(node.name), .init(node.stateText, node.isCordoned || node.isDraining ? .yellow : tone(of: node.state)),
          .init(node.pid.map { "\($0)" } ?? "-"), .init(places.isEmpty ? "-" : places.joined(separator: ", ")),
          .init(node.labels.isEmpty ? "-" : Labels.text(node.labels)),
        ])
      }
      return table.text(style: style)
    }
  }
}

extension NodeView {
  /// "ready", "ready, cordoned", "down, draining".
  var stateText: String { state + (isDraining ? ", draining" : isCordoned ? ", cordoned" : "") }
}

extension Collection where Element == PoolView {
  var text: (TextStyle) -> String {
    { style in
      if isEmpty { return "No pools. A node gets one with: keelson node ... --pool PATH\n" }
      var table = TextTable([
        .init("node"), .init("name"), .init("state"), .init("kind"), .init("size", .right), .init("allocated", .right),
        .init("free", .right), .init("promised", .right), .init("over-commit", .right), .init("path"),
      ])
      for pool in self {
        table.add([
          .init(pool.node), .init(pool.name), .init(pool.state, tone(of: pool.state)),
          .init(pool.kind == "memory" ? "memory (volatile)" : pool.kind), .init(ByteSize.text(pool.size)),
          .init(ByteSize.text(pool.allocated)), .init(ByteSize.text(pool.free)), .init(ByteSize.text(pool.promised)),
          .init(pool.overcommit.map { $0 == 0 ? "any" : "\($0) %" } ?? "-"), .init(pool.path),
        ])
      }
      var text = table.text(style: style)
      for pool in self {
        for line in [pool.message, pool.errors].compactMap({ $0 }) { text += "\(pool.node) \(pool.name): \(line)\n" }
      }
      return text
    }
  }
}

extension Collection where Element == ReplicaView {
  var text: (TextStyle) -> String {
    { style in
      if isEmpty { return "No replicas.\n" }
      var table = TextTable([
        .init("volume"), .init("node"), .init("pool"), .init("state"), .init("size", .right), .init("id"),
      ])
      for replica in self {
        table.add([
          .init(replica.volume), .init(replica.node), .init(replica.pool), .init(replica.state.rawValue, tone(of: replica.state.rawValue)),
          .init(ByteSize.text(replica.size)), .init("\(replica.id)"),
        ])
      }
      return table.text(style: style)
    }
  }
}
