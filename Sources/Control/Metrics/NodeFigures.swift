import Foundation
import Metrics
import Target

/// Everything a node's page of metrics is made of, at one moment.
struct NodeFigures: Sendable {
  let node: String
  let ioEngine: String
  let startedAt: Date
  /// When the target was asked, on CLOCK_BOOTTIME.
  let atNanoseconds: UInt64
  let target: TargetFigures
  /// Of volumes with a path here.
  let names: [VolumeID: String]
  let nexuses: [NexusStatus]
  let pools: [PoolStatus]

  /// The page. Volumes stand in the order of their names; of one that was never asked for anything there is only that its path is there.
  var page: String {
    var page = PrometheusText()
    page.family(MetricName.node, .gauge, help: "The node whose page this is.")
    page.sample(1, labels: [("node", node), ("io_engine", ioEngine)])
    page.family(MetricName.time, .gauge, help: "When the counters were read, on a clock of the machine that never goes back.")
    page.sample(Double(atNanoseconds) / 1e9)
    page.family("keelson_node_start_time_seconds", .gauge, help: "When the process began, since 1970.")
    page.sample(startedAt.timeIntervalSince1970)
    addTarget(to: &page)
    addVolumes(to: &page)
    addNexuses(to: &page)
    addPools(to: &page)
    return page.text
  }

  private func addTarget(to page: inout PrometheusText) {
    let roles: [(name: String, traffic: Traffic, connections: Int)] = [
      (MetricName.hostRole, target.hostTraffic, connections(usingReplicas: false)),
      (MetricName.replicaRole, target.replicaTraffic, connections(usingReplicas: true)),
    ]
    page.family(
      MetricName.connections, .gauge, help: "Connections to volumes (host) and to replicas, from nexuses on other nodes (replica).")
    for role in roles { page.sample(role.connections, labels: [("role", role.name)]) }
    page.family(MetricName.targetCommands, .counter, help: "Commands that succeeded, of all volumes or replicas.")
    for role in roles {
      for (operation, value) in role.traffic.operations {
        page.sample(value.commands, labels: [("role", role.name), ("operation", operation)])
      }
    }
    page.family(MetricName.targetBytes, .counter, help: "Bytes read and written, of all volumes or replicas.")
    for role in roles {
      for (operation, value) in role.traffic.operations.prefix(2) {
        page.sample(value.bytes, labels: [("role", role.name), ("operation", operation)])
      }
    }
    page.family("keelson_target_failures_total", .counter, help: "Commands answered with an error.")
    for role in roles { page.sample(role.traffic.failures, labels: [("role", role.name)]) }
    page.family("keelson_target_redirections_total", .counter, help: "Commands told to take another path.")
    for role in roles { page.sample(role.traffic.redirections, labels: [("role", role.name)]) }
  }

  private func connections(usingReplicas: Bool) -> Int {
    target.subsystems.reduce(0) { $0 + ($1.usesReplicaArena == usingReplicas ? $1.connections : 0) }
  }

  // MARK: Volumes

  private func addVolumes(to page: inout PrometheusText) {
    var names: [String: String] = [:]
    for (id, name) in self.names { names[NQN.volume(id)] = name }
    let volumes = target.subsystems.compactMap { figures in names[figures.name.description].map { (name: $0, figures: figures) } }
      .sorted { $0.name < $1.name }
    page.family(MetricName.optimized, .gauge, help: "1 where the volume's nexus serves, 0 on paths that stand by.")
    for volume in volumes { page.sample(volume.figures.isOptimized ? 1 : 0, labels: [("volume", volume.name)]) }
    page.family("keelson_volume_connections", .gauge, help: "Connections of hosts.")
    for volume in volumes { page.sample(volume.figures.connections, labels: [("volume", volume.name)]) }
    let used = volumes.filter { !$0.figures.traffic.isEmpty }
    page.family(MetricName.commands, .counter, help: "Commands of hosts that succeeded.")
    for volume in used {
      for (operation, value) in volume.figures.traffic.operations {
        page.sample(value.commands, labels: [("volume", volume.name), ("operation", operation)])
      }
    }
    page.family(MetricName.bytes, .counter, help: "Bytes that hosts read and wrote.")
    for volume in used {
      for (operation, value) in volume.figures.traffic.operations.prefix(2) {
        page.sample(value.bytes, labels: [("volume", volume.name), ("operation", operation)])
      }
    }
    page.family(MetricName.failures, .counter, help: "Commands answered with an error.")
    for volume in used { page.sample(volume.figures.traffic.failures, labels: [("volume", volume.name)]) }
    page.family("keelson_volume_redirections_total", .counter, help: "Commands told to take another path.")
    for volume in used { page.sample(volume.figures.traffic.redirections, labels: [("volume", volume.name)]) }
    page.family(MetricName.latency, .histogram, help: "From a command's capsule to its response.")
    for volume in used {
      let traffic = volume.figures.traffic
      for (operation, latency) in [(MetricName.read, traffic.readLatency), (MetricName.write, traffic.writeLatency)] {
        page.sample(
          classes: (0..<LatencyClasses.count).map { (LatencyClasses.end(of: $0), latency[$0]) }, sumNanoseconds: latency.sumNanoseconds,
          labels: [("volume", volume.name), ("operation", operation)])
      }
    }
  }

  private func addNexuses(to page: inout PrometheusText) {
    let named = nexuses.compactMap { status in names[status.volumeID].map { (name: $0, status: status) } }.sorted { $0.name < $1.name }
    page.family(MetricName.state, .gauge, help: "1 for the state that the volume's nexus on this node is in.")
    for nexus in named { page.sample(1, labels: [("volume", nexus.name), ("state", nexus.status.state.rawValue)]) }
    page.family("keelson_volume_replicas", .gauge, help: "Replicas of the volume, by what its nexus on this node says of them.")
    for nexus in named {
      for state in [NexusStatus.Replica.State.inSync, .syncing, .absent, .unreachable] {
        page.sample(
          nexus.status.replicas.filter { $0.state == state }.count, labels: [("volume", nexus.name), ("state", state.rawValue)])
      }
    }
    let rebuilds = named.flatMap { nexus in nexus.status.rebuilds.filter { !$0.isOver }.map { (name: nexus.name, rebuild: $0) } }
    func add(_ name: String, _ help: String, _ value: (RebuildStatus) -> UInt64) {
      page.family(name, .gauge, help: help)
      for (volume, rebuild) in rebuilds {
        page.sample(value(rebuild), labels: [("volume", volume), ("node", rebuild.node), ("replica", "\(rebuild.replica)")])
      }
    }
    add(MetricName.rebuildToDo, "What a rebuild under way has to look at in all.") { $0.bytesToDo }
    add(MetricName.rebuildDone, "What it has looked at.") { $0.bytesDone }
    add("keelson_rebuild_sent_bytes", "What it has written to the replica.") { $0.bytesSent }
    add(MetricName.rebuildRate, "What it looks at a second, since it began.") { $0.bytesPerSecond }
  }

  private func addPools(to page: inout PrometheusText) {
    func add(_ name: String, _ help: String, _ value: (PoolStatus) -> UInt64) {
      page.family(name, .gauge, help: help)
      for pool in pools { page.sample(value(pool), labels: [("pool", pool.name)]) }
    }
    add(MetricName.poolSize, "Bytes of the pool's clusters.") { $0.sizeBytes }
    add(MetricName.poolFree, "Bytes of clusters that nobody has.") { $0.freeBytes }
    add("keelson_pool_promised_bytes", "The sizes of its replicas together.") { $0.promisedBytes }
    add("keelson_pool_faulted", "1 if the pool can only be read.") { $0.state == .faulted ? 1 : 0 }
    page.family("keelson_pool_errors_total", .counter, help: "Reads and writes of its device that failed.")
    for pool in pools {
      page.sample(pool.errors?.reads ?? 0, labels: [("pool", pool.name), ("operation", MetricName.read)])
      page.sample(pool.errors?.writes ?? 0, labels: [("pool", pool.name), ("operation", MetricName.write)])
    }
  }
}

extension TargetFigures {
  private func traffic(usingReplicas: Bool, _ past: Traffic) -> Traffic {
    subsystems.reduce(past) { $1.usesReplicaArena == usingReplicas ? $0.adding($1.traffic) : $0 }
  }

  /// Of hosts with all volumes, also those whose paths are gone.
  var hostTraffic: Traffic { traffic(usingReplicas: false, pastHostTraffic) }
  /// Of nexuses on other nodes with all replicas, also those that are gone.
  var replicaTraffic: Traffic { traffic(usingReplicas: true, pastReplicaTraffic) }
}

extension Traffic {
  /// By the names they have on the page; the first two have bytes.
  var operations: [(name: String, value: Operation)] {
    [(MetricName.read, reads), (MetricName.write, writes), ("flush", flushes), ("trim", trims)]
  }
}
