import Testing

@testable import Metrics

@Suite struct PrometheusTextTests {
  @Test func countersAndGauges() {
    let counter = Counter()
    counter.add(40)
    counter.addAsOwner(2)
    let gauge = Gauge()
    gauge.set(5)
    gauge.add(-8)
    var page = PrometheusText()
    page.family("keelson_reads_total", .counter, help: "Reads.")
    page.sample(counter.value, labels: [("volume", "db"), ("node", "n1")])
    page.sample(UInt64.max, labels: [("volume", "log")])
    page.family("keelson_depth", .gauge, help: "Depth.")
    page.sample(gauge.value)
    page.sample(0.25)
    #expect(
      page.text == """
        # HELP keelson_reads_total Reads.
        # TYPE keelson_reads_total counter
        keelson_reads_total{volume="db",node="n1"} 42
        keelson_reads_total{volume="log"} 18446744073709551615
        # HELP keelson_depth Depth.
        # TYPE keelson_depth gauge
        keelson_depth -3
        keelson_depth 0.25

        """)
  }

  @Test func labelValuesAndHelpAreEscaped() {
    var page = PrometheusText()
    page.family("x", .gauge, help: "a\\b\n\"c\"")
    page.sample(1, labels: [("path", "C:\\\"a\"\nb")])
    #expect(page.text == "# HELP x a\\\\b\\n\"c\"\n# TYPE x gauge\nx{path=\"C:\\\\\\\"a\\\"\\nb\"} 1\n")
  }

  @Test func numbersThatAreNotFinite() {
    #expect(PrometheusText.number(.infinity) == "+Inf")
    #expect(PrometheusText.number(-.infinity) == "-Inf")
    #expect(PrometheusText.number(.nan) == "NaN")
  }

  @Test func histogramsAreCumulativeInSeconds() throws {
    let histogram = LatencyHistogram()
    for value in [100, 4_095, 4_096, 1_000_000, 60_000_000_000] as [UInt64] { histogram.record(value) }
    var page = PrometheusText()
    page.family("latency_seconds", .histogram, help: "Latency.")
    page.sample(histogram, labels: [("op", "read")])
    let lines = page.text.split(separator: "\n").map(String.init)
    #expect(lines.contains("latency_seconds_bucket{op=\"read\",le=\"4.095e-06\"} 2"))
    #expect(lines.contains("latency_seconds_bucket{op=\"read\",le=\"8.191e-06\"} 3"))
    #expect(lines.contains("latency_seconds_bucket{op=\"read\",le=\"17.179869183\"} 4"))
    #expect(lines.contains("latency_seconds_bucket{op=\"read\",le=\"+Inf\"} 5"))
    #expect(lines.contains("latency_seconds_sum{op=\"read\"} 60.001008291"))
    #expect(lines.last == "latency_seconds_count{op=\"read\"} 5")
  }

  @Test func names() {
    #expect(PrometheusText.isName("a_b9"))
    #expect(!PrometheusText.isName("9a"))
    #expect(!PrometheusText.isName(""))
    #expect(!PrometheusText.isName("a-b"))
    #expect(!PrometheusText.isName("é"))
  }
}
