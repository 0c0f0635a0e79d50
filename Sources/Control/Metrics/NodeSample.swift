import Metrics

/// What a node's page of metrics said at one moment, as `keelson top` uses it.
public struct NodeSample: Equatable, Sendable {
  /// One direction of a volume's or node's traffic.
  public struct Direction: Equatable, Sendable {
    public var commands = 0.0
    public var bytes = 0.0
    /// Upper bounds in seconds, rising, the last infinite, and how many commands took at most that.
    public var latency: [Step] = []
    public var latencySumSeconds = 0.0
  }

  public struct Step: Equatable, Sendable {
    public var boundSeconds: Double
    public var count: Double
  }

  public struct Volume: Equatable, Sendable {
    public var read = Direction()
    public var write = Direction()
    public var flushes = 0.0
    public var trims = 0.0
    public var failures = 0.0
    public var isOptimized = false
    /// What its nexus says, if it is here.
    public var state: String?
    /// Of the rebuilds of its replicas under way together, 0 to 1; nil for none.
    public var rebuilt: Double?
  }

  public enum SampleError: Error, Equatable, CustomStringConvertible, Sendable {
    case notOurs

    public var description: String { "the page is not one of a keelson node" }
  }

  public internal(set) var timeSeconds: Double
  /// By name.
  public internal(set) var volumes: [String: Volume] = [:]
  /// What nexuses on other nodes read from and wrote to its replicas.
  public internal(set) var replicaRead = Direction()
  public internal(set) var replicaWrite = Direction()
  public internal(set) var hostConnections = 0.0
  public internal(set) var poolBytes = 0.0
  public internal(set) var poolFreeBytes = 0.0

  public init(_ page: PrometheusPage) throws(SampleError) {
    guard page[MetricName.node].count == 1, let time = page[MetricName.time].first?.value, time.isFinite else { throw .notOurs }
    timeSeconds = time
    for sample in page[MetricName.optimized] { update(sample) { $0.isOptimized = sample.value == 1 } }
    for sample in page[MetricName.state] where sample.value == 1 { update(sample) { $0.state = sample.labels["state"] } }
    for sample in page[MetricName.failures] { update(sample) { $0.failures = sample.value } }
    for sample in page[MetricName.commands] {
      update(sample) { volume in
        switch sample.labels["operation"] {
        case MetricName.read: volume.read.commands = sample.value
        case MetricName.write: volume.write.commands = sample.value
        case "flush": volume.flushes = sample.value
        case "trim": volume.trims = sample.value
        default: break
        }
      }
    }
    for sample in page[MetricName.bytes] { updateDirection(sample) { $0.bytes = sample.value } }
    for sample in page[MetricName.latency + "_sum"] { updateDirection(sample) { $0.latencySumSeconds = sample.value } }
    for sample in page[MetricName.latency + "_bucket"] {
      guard let text = sample.labels["le"], let bound = text == "+Inf" ? Double.infinity : Double(text) else { continue }
      updateDirection(sample) { $0.latency.append(Step(boundSeconds: bound, count: sample.value)) }
    }
    readRebuilds(page)
    for sample in page[MetricName.targetCommands] where sample.labels["role"] == MetricName.replicaRole {
      if sample.labels["operation"] == MetricName.read { replicaRead.commands = sample.value }
      if sample.labels["operation"] == MetricName.write { replicaWrite.commands = sample.value }
    }
    for sample in page[MetricName.targetBytes] where sample.labels["role"] == MetricName.replicaRole {
      if sample.labels["operation"] == MetricName.read { replicaRead.bytes = sample.value }
      if sample.labels["operation"] == MetricName.write { replicaWrite.bytes = sample.value }
    }
    for sample in page[MetricName.connections] where sample.labels["role"] == MetricName.hostRole { hostConnections = sample.value }
    for sample in page[MetricName.poolSize] { poolBytes += sample.value }
    for sample in page[MetricName.poolFree] { poolFreeBytes += sample.value }
  }

  private mutating func readRebuilds(_ page: PrometheusPage) {
    var todo: [String: Double] = [:]
    for sample in page[MetricName.rebuildToDo] { todo[sample.labels["volume"] ?? "", default: 0] += sample.value }
    var done: [String: Double] = [:]
    for sample in page[MetricName.rebuildDone] { done[sample.labels["volume"] ?? "", default: 0] += sample.value }
    for (name, bytes) in todo { volumes[name]?.rebuilt = bytes > 0 ? min(1, (done[name] ?? 0) / bytes) : 0 }
  }

  private mutating func update(_ sample: PrometheusPage.Sample, _ body: (inout Volume) -> Void) {
    guard let name = sample.labels["volume"] else { return }
    body(&volumes[name, default: Volume()])
  }

  private mutating func updateDirection(_ sample: PrometheusPage.Sample, _ body: (inout Direction) -> Void) {
    update(sample) { volume in
      switch sample.labels["operation"] {
      case MetricName.read: body(&volume.read)
      case MetricName.write: body(&volume.write)
      default: break
      }
    }
  }
}
