import Testing

@testable import Metrics

@Suite struct PrometheusPageTests {
  @Test func `what is written is read`() throws {
    let histogram = LatencyHistogram()
    for value in [100, 4_096, 60_000_000_000] as [UInt64] { histogram.record(value) }
    var text = PrometheusText()
    text.family("a_total", .counter, help: "A\nhelp.")
    text.sample(UInt64(7), labels: [("volume", "x\"\\\n{},= é"), ("empty", "")])
    text.sample(0.5)
    text.family("b", .gauge, help: "B.")
    text.sample(-3)
    text.sample(Double.infinity, labels: [("le", "+Inf")])
    text.family("c_seconds", .histogram, help: "C.")
    text.sample(histogram, labels: [("op", "read")])
    text.family("d_seconds", .histogram, help: "D.")
    text.sample(classes: [(1000, 2), (2000, 0), (nil, 1)], sumNanoseconds: 3_500_000_000)
    let page = try PrometheusPage(text.text)
    #expect(
      page["a_total"] == [
        .init(labels: ["volume": "x\"\\\n{},= é", "empty": ""], value: 7), .init(labels: [:], value: 0.5),
      ])
    #expect(page["b"] == [.init(labels: [:], value: -3), .init(labels: ["le": "+Inf"], value: .infinity)])
    #expect(page["c_seconds_count"] == [.init(labels: ["op": "read"], value: 3)])
    #expect(page["c_seconds_bucket"].last == .init(labels: ["op": "read", "le": "+Inf"], value: 3))
    #expect(page["d_seconds_bucket"].map(\.value) == [2, 2, 3])
    #expect(page["d_seconds_bucket"].map(\.labels) == [["le": "9.99e-07"], ["le": "1.999e-06"], ["le": "+Inf"]])
    #expect(page["d_seconds_sum"] == [.init(labels: [:], value: 3.5)] && page["nothing"].isEmpty)
  }

  @Test func `what others write is read`() throws {
    let page = try PrometheusPage("# a comment\r\n\r\n  go_up{ a = \"b\" , c=\"d\", } 1e3 1700000000000\r\nx NaN\nns:y +Inf\n# end")
    #expect(page["go_up"] == [.init(labels: ["a": "b", "c": "d"], value: 1000)])
    #expect(page["x"].count == 1 && page["x"][0].value.isNaN && page["ns:y"][0].value == .infinity)
  }

  @Test(arguments: [
    "a", "a ", "a b", "9a 1", "a{ 1", "a{b} 1", "a{b=} 1", "a{b=\"} 1", "a{b=\"c\" 1", "a{b=\"c\"d=\"e\"} 1", "a{b=\"1\",b=\"2\"} 1",
    "a 1 2 3",
    "a 1 x", "{} 1", "a{b=\"\\", "é 1", "a 0x", "a{=\"b\"} 1", "\u{0} 1",
    "a{" + (0...32).map { "l\($0)=\"\"," }.joined() + "} 1",
  ])
  func `what is no sample is refused`(line: String) {
    #expect(throws: PrometheusPage.ParseError.notASample(line: 2)) { try PrometheusPage("ok 1\n\(line)\n") }
  }

  @Test func `bytes that nobody meant are read or refused`() {
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    let alphabet = Array("abc{}\"=,\\ \n\t01.e+-#é")
    for _ in 0..<3000 {
      var text = ""
      for _ in 0..<24 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        text.append(alphabet[Int(state >> 33) % alphabet.count])
      }
      // Nothing to say of what comes out, but that something does.
      _ = try? PrometheusPage(text)
    }
  }
}
