import Foundation
import Metrics
import Testing

@testable import Control

@Suite struct LiveFiguresTests {
  /// A page as a node writes it, of one volume with these figures.
  private func sample(
    at seconds: Double, volume: String = "db", reads: Int = 0, bytes: Int = 0, classes: [(UInt64?, UInt64)] = [(1_000_001, 0), (nil, 0)],
    sumNanoseconds: UInt64 = 0, isOptimized: Bool = true
  ) throws -> NodeSample {
    var page = PrometheusText()
    page.family(MetricName.node, .gauge, help: "")
    page.sample(1, labels: [("node", "n")])
    page.family(MetricName.time, .gauge, help: "")
    page.sample(seconds)
    page.family(MetricName.optimized, .gauge, help: "")
    page.sample(isOptimized ? 1 : 0, labels: [("volume", volume)])
    page.family(MetricName.state, .gauge, help: "")
    if isOptimized { page.sample(1, labels: [("volume", volume), ("state", "healthy")]) }
    page.family(MetricName.commands, .counter, help: "")
    page.sample(reads, labels: [("volume", volume), ("operation", "read")])
    page.family(MetricName.bytes, .counter, help: "")
    page.sample(bytes, labels: [("volume", volume), ("operation", "read")])
    page.family(MetricName.latency, .histogram, help: "")
    page.sample(classes: classes, sumNanoseconds: sumNanoseconds, labels: [("volume", volume), ("operation", "read")])
    return try NodeSample(try PrometheusPage(page.text))
  }

  @Test func `rates are what was counted between two pages, by the pages' own clock`() throws {
    let before = try sample(at: 10, reads: 100, bytes: 1000, classes: [(1_000_001, 100), (nil, 0)], sumNanoseconds: 1_000_000)
    let now = try sample(at: 14, reads: 500, bytes: 401_000, classes: [(1_000_001, 500), (nil, 0)], sumNanoseconds: 201_000_000)
    let figures = LiveFigures([("n", .success((before, now)))])
    let volume = try #require(figures.volumes.first)
    #expect(figures.seconds == 4 && volume.name == "db" && volume.node == "n" && volume.state == "healthy")
    #expect(volume.read.commandsPerSecond == 100 && volume.read.bytesPerSecond == 100_000)
    #expect(abs(volume.read.meanSeconds! - 0.0005) < 1e-9)
    #expect(abs(volume.read.p99Seconds! - 0.00099) < 1e-6, "in its class as far up as its rank")
    #expect(volume.write == LiveFigures.Direction())
    #expect(figures.nodes.map(\.name) == ["n"] && figures.nodes[0].read == volume.read)
  }

  @Test func `a process that began anew counts from nothing`() throws {
    let before = try sample(at: 10, reads: 1_000_000, classes: [(1_000_001, 1_000_000), (nil, 0)], sumNanoseconds: 1 << 60)
    let now = try sample(at: 11, reads: 10, classes: [(1_000_001, 9), (nil, 1)], sumNanoseconds: 10_000)
    let read = try #require(LiveFigures([("n", .success((before, now)))]).volumes.first).read
    #expect(read.commandsPerSecond == 10 && abs(read.meanSeconds! - 1e-6) < 1e-12 && read.p99Seconds == .infinity)
  }

  @Test func `a volume's figures are those of all its paths, and its node is the one that serves it`() throws {
    let old = (try sample(at: 1, reads: 10), try sample(at: 2, reads: 40, isOptimized: false))
    let new = (try sample(at: 7, reads: 0, isOptimized: false), try sample(at: 9, reads: 20))
    let figures = LiveFigures([("b", .success(new)), ("a", .success(old)), ("c", .failure(.init("gone")))])
    #expect(figures.volumes.map(\.node) == ["b"] && figures.volumes[0].read.commandsPerSecond == 40)
    #expect(figures.nodes.map(\.name) == ["a", "b", "c"] && figures.nodes.map(\.trouble) == [nil, nil, "gone"])
    #expect(figures.nodes.map(\.read.commandsPerSecond) == [30, 10, 0])
  }

  @Test func `without a page from before there are no rates`() throws {
    let figures = LiveFigures([("n", .success((nil, try sample(at: 5, reads: 1_000_000))))])
    #expect(figures.volumes.map(\.read.commandsPerSecond) == [0] && figures.volumes[0].node == "n")
    // Nor from the same page twice.
    let same = try sample(at: 5, reads: 7)
    #expect(LiveFigures([("n", .success((same, same)))]).volumes[0].read == LiveFigures.Direction())
  }

  @Test(arguments: ["", "a 1\n", "keelson_node_info 1\n", "keelson_node_info 1\nkeelson_page_time_seconds NaN\n"])
  func `a page of something else is refused`(text: String) {
    #expect(throws: NodeSample.SampleError.notOurs) { try NodeSample(try PrometheusPage(text)) }
  }

  @Test func `figures that make no sense harm nobody`() throws {
    let text = """
      keelson_node_info 1
      keelson_page_time_seconds 1
      keelson_volume_commands_total{volume="x",operation="read"} NaN
      keelson_volume_commands_total{volume="x",operation="write"} -5
      keelson_volume_latency_seconds_bucket{volume="x",operation="read",le="zero"} 1
      keelson_volume_latency_seconds_bucket{volume="x",operation="read",le="0.1"} NaN
      keelson_target_connections{role="host"} 1e300
      keelson_pool_size_bytes{pool="p"} -1
      """
    let now = try NodeSample(try PrometheusPage(text))
    var before = now
    before.timeSeconds = 0
    let figures = LiveFigures([("n", .success((before, now)))])
    #expect(figures.nodes[0].poolBytes == 0 && figures.nodes[0].hostConnections > 0)
    #expect(figures.volumes.map(\.read.commandsPerSecond) == [0])
  }
}
