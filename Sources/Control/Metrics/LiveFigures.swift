/// What happened between two samples of all nodes: rates and latencies, by volume and by node.
public struct LiveFigures: Equatable, Sendable {
  public struct Direction: Equatable, Sendable {
    public var commandsPerSecond = 0.0
    public var bytesPerSecond = 0.0
    /// Nil without a command.
    public var meanSeconds: Double?
    /// The latency that one command in a hundred exceeds, as well as its class tells (classes are a half of their beginnings wide); nil without a
    /// command, infinite beyond the last class.
    public var p99Seconds: Double?
  }

  public struct Volume: Equatable, Sendable {
    public var name: String
    /// Where it is served; nil for nowhere.
    public var node: String?
    public var state: String?
    public var rebuilt: Double?
    public var read = Direction()
    public var write = Direction()
    public var flushesPerSecond = 0.0
    public var trimsPerSecond = 0.0
    public var failuresPerSecond = 0.0
  }

  public struct Node: Equatable, Sendable {
    public var name: String
    /// Why it is not known what it does.
    public var trouble: String?
    /// Of the volumes that it serves.
    public var read = Direction()
    public var write = Direction()
    /// Of its replicas, by nexuses on other nodes; without latencies.
    public var replicaRead = Direction()
    public var replicaWrite = Direction()
    public var hostConnections = 0
    public var poolBytes: UInt64 = 0
    public var poolFreeBytes: UInt64 = 0
  }

  /// The longest time between two pages of a node.
  public var seconds = 0.0
  /// By name.
  public var volumes: [Volume] = []
  /// By name.
  public var nodes: [Node] = []

  /// - Parameter nodes: each node's sample before and now; the one before is nil for a node that was not reached then, whose rates are not known
  ///   yet. Or why it is not reached now.
  public init(_ samples: [(node: String, sample: Result<(before: NodeSample?, now: NodeSample), Trouble>)]) {
    var changes: [String: (volume: Volume, read: Change, write: Change)] = [:]
    for (name, result) in samples.sorted(by: { $0.node < $1.node }) {
      var node = Node(name: name)
      defer { nodes.append(node) }
      switch result {
      case .failure(let trouble): node.trouble = trouble.description
      case .success(let (before, now)):
        node.hostConnections = Int(clamped: now.hostConnections)
        node.poolBytes = UInt64(clamped: now.poolBytes)
        node.poolFreeBytes = UInt64(clamped: now.poolFreeBytes)
        let elapsed = before.map { now.timeSeconds - $0.timeSeconds } ?? 0
        seconds = max(seconds, elapsed)
        var (read, write) = (Change(), Change())
        for (volumeName, volume) in now.volumes {
          var entry = changes[volumeName] ?? (volume: Volume(name: volumeName), read: Change(), write: Change())
          if volume.isOptimized || entry.volume.node == nil && volume.state != nil {
            entry.volume.node = name
            entry.volume.state = volume.state
            entry.volume.rebuilt = volume.rebuilt
          }
          if elapsed > 0, let before {
            // A path that was not there had counted nothing.
            let old = before.volumes[volumeName] ?? NodeSample.Volume()
            let (reads, writes) = (Change(old.read, volume.read, elapsed), Change(old.write, volume.write, elapsed))
            entry.read.add(reads)
            entry.write.add(writes)
            read.add(reads)
            write.add(writes)
            entry.volume.flushesPerSecond += Change.difference(old.flushes, volume.flushes) / elapsed
            entry.volume.trimsPerSecond += Change.difference(old.trims, volume.trims) / elapsed
            entry.volume.failuresPerSecond += Change.difference(old.failures, volume.failures) / elapsed
          }
          changes[volumeName] = entry
        }
        node.read = read.direction
        node.write = write.direction
        if elapsed > 0, let before {
          node.replicaRead = Change(before.replicaRead, now.replicaRead, elapsed).direction
          node.replicaWrite = Change(before.replicaWrite, now.replicaWrite, elapsed).direction
        }
      }
    }
    volumes = changes.values.map { entry in
      var volume = entry.volume
      volume.read = entry.read.direction
      volume.write = entry.write.direction
      return volume
    }.sorted { $0.name < $1.name }
  }

  /// Why a node is not reached.
  public struct Trouble: Error, Equatable, CustomStringConvertible, Sendable {
    public let description: String

    public init(_ description: String) { self.description = description }
  }
}

/// What one direction did between two samples; several can be added up.
private struct Change {
  var commands = 0.0
  var commandsPerSecond = 0.0
  var bytesPerSecond = 0.0
  var latencySumSeconds = 0.0
  /// Rising bounds, and how many commands lie at or below each.
  var latency: [NodeSample.Step] = []

  init() {}

  init(_ before: NodeSample.Direction, _ now: NodeSample.Direction, _ seconds: Double) {
    commands = Self.difference(before.commands, now.commands)
    commandsPerSecond = commands / seconds
    bytesPerSecond = Self.difference(before.bytes, now.bytes) / seconds
    // Another process counts from nothing: all its figures begin anew, or none.
    let isAnew = now.commands < before.commands || before.latency.count != now.latency.count
    latencySumSeconds = isAnew ? now.latencySumSeconds : max(0, now.latencySumSeconds - before.latencySumSeconds)
    latency = now.latency
    if !isAnew { for index in latency.indices { latency[index].count = max(0, latency[index].count - before.latency[index].count) } }
  }

  /// How much a counter grew, which begins at nothing again when its process does.
  static func difference(_ before: Double, _ now: Double) -> Double {
    let grown = now < before ? now : now - before
    return grown.isFinite ? grown : 0
  }

  mutating func add(_ other: Change) {
    commands += other.commands
    commandsPerSecond += other.commandsPerSecond
    bytesPerSecond += other.bytesPerSecond
    latencySumSeconds += other.latencySumSeconds
    if latency.isEmpty {
      latency = other.latency
    } else if latency.map(\.boundSeconds) == other.latency.map(\.boundSeconds) {
      for index in latency.indices { latency[index].count += other.latency[index].count }
    }
  }

  var direction: LiveFigures.Direction {
    LiveFigures.Direction(
      commandsPerSecond: commandsPerSecond, bytesPerSecond: bytesPerSecond,
      meanSeconds: commands > 0 ? latencySumSeconds / commands : nil, p99Seconds: percentile(0.99))
  }

  /// In its class as far up as its rank, as if the commands lay evenly in there.
  private func percentile(_ share: Double) -> Double? {
    guard let total = latency.last?.count, total > 0 else { return nil }
    let rank = share * total
    var (bound, below) = (0.0, 0.0)
    for step in latency {
      if step.count >= rank {
        if step.boundSeconds.isInfinite { return .infinity }
        return step.count > below ? bound + (step.boundSeconds - bound) * (rank - below) / (step.count - below) : step.boundSeconds
      }
      (bound, below) = (step.boundSeconds, step.count)
    }
    return .infinity
  }
}

extension UInt64 {
  /// From a page that may say anything.
  fileprivate init(clamped value: Double) { self = value > 0 ? UInt64(exactly: Swift.min(value, 0x1p62).rounded()) ?? 0 : 0 }
}

extension Int {
  fileprivate init(clamped value: Double) { self = Int(UInt64(clamped: value)) }
}
