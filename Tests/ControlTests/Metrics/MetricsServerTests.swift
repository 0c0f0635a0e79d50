import Foundation
import Glibc
import Metrics
import Reactor
import Synchronization
import Testing

@testable import Control

@Suite struct MetricsServerTests {
  /// Long enough for a busy machine.
  private static let patience: UInt64 = 120_000_000_000

  private func serve(
    _ options: MetricsServer.Options = .init(), page: @escaping @Sendable () -> String, _ body: (MetricsServer) throws -> Void
  ) throws {
    let server = try MetricsServer(on: SocketAddress(host: "127.0.0.1", port: 0)!, options: options, page: page)
    defer { server.stop() }
    try body(server)
  }

  private static let samplePage = "keelson_node_info{node=\"n\"} 1\nkeelson_page_time_seconds 1.5\n"

  /// Everything that the server says to these bytes, until it ends the connection.
  private func answer(to bytes: [UInt8], from server: MetricsServer) throws -> String {
    let descriptor = try connect(to: server)
    defer { close(descriptor) }
    var sent = 0
    while sent < bytes.count {
      let count = unsafe bytes.withUnsafeBytes { unsafe send(descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL)) }
      if count > 0 {
        sent += count
      } else if errno == EAGAIN {
        awaitEvent(descriptor, POLLOUT)
      } else {
        break
      }
    }
    return read(descriptor)
  }

  private func connect(to server: MetricsServer) throws -> Int32 {
    let descriptor = try Socket.connect(to: server.address)
    awaitEvent(descriptor, POLLOUT)
    return descriptor
  }

  private func awaitEvent(_ descriptor: Int32, _ events: Int32) {
    var watched = pollfd(fd: descriptor, events: Int16(events), revents: 0)
    unsafe poll(&watched, 1, Int32(Self.patience / 1_000_000))
  }

  private func read(_ descriptor: Int32) -> String {
    var answer: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      awaitEvent(descriptor, POLLIN)
      let count = unsafe buffer.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress!, $0.count, 0) }
      if count <= 0 { return String(decoding: answer, as: UTF8.self) }
      answer += buffer.prefix(count)
    }
  }

  @Test func `a page is read by those that ask for it`() throws {
    try serve(page: { Self.samplePage }) { server in
      let page = try MetricsReader.page(at: server.address, timeoutNanoseconds: Self.patience)
      #expect(page["keelson_node_info"] == [.init(labels: ["node": "n"], value: 1)])
      let whole = try answer(to: Array("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".utf8), from: server)
      #expect(
        whole.hasPrefix("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4") && whole.hasSuffix("\r\n\r\n" + Self.samplePage))
      let head = try answer(to: Array("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n".utf8), from: server)
      #expect(head.hasSuffix("Connection: close\r\n\r\n") && head.contains("Content-Length: \(Self.samplePage.utf8.count)\r\n"))
    }
  }

  @Test(arguments: [
    ("GET / HTTP/1.1\r\n\r\n", 404), ("GET /metrics/x HTTP/1.1\r\n\r\n", 404), ("DELETE /metrics HTTP/1.1\r\n\r\n", 405),
    ("\u{16}\u{3}\u{1}nonsense\r\n\r\n", 400), ("GET /metrics\r\n\r\n", 400),
    ("GET /" + String(repeating: "x", count: 9000) + " HTTP/1.1\r\n\r\n", 431),
    (String(repeating: "y", count: 300_000), 431),
  ]) func `what is not served is refused with its status`(text: String, status: Int) throws {
    try serve(page: { Self.samplePage }) { server in
      let told = try answer(to: Array(text.utf8), from: server)
      #expect(told.hasPrefix("HTTP/1.1 \(status) "))
      #expect(throws: Never.self) { try MetricsReader.page(at: server.address, timeoutNanoseconds: Self.patience) }
    }
  }

  @Test func `who is silent or slow is put out in time, and newcomers get a place then`() throws {
    let options = MetricsServer.Options(maximumConnections: 2, connectionNanoseconds: 300_000_000)
    try serve(options, page: { Self.samplePage }) { server in
      let silent = try (0..<2).map { _ in try connect(to: server) }
      defer { for descriptor in silent { close(descriptor) } }
      _ = unsafe send(silent[0], "GET", 3, Int32(MSG_NOSIGNAL))
      // It waits for one of the two to go.
      #expect(throws: Never.self) { try MetricsReader.page(at: server.address, timeoutNanoseconds: Self.patience) }
      for descriptor in silent { #expect(read(descriptor).isEmpty, "put out without a word") }
    }
  }

  @Test func `a page is not made for each of many readers`() throws {
    let count = Atomic(0)
    let options = MetricsServer.Options(pageNanoseconds: 3_600_000_000_000)
    let server = try MetricsServer(on: SocketAddress(host: "127.0.0.1", port: 0)!, options: options) {
      count.wrappingAdd(1, ordering: .relaxed)
      return Self.samplePage
    }
    defer { server.stop() }
    for _ in 0..<20 { _ = try MetricsReader.page(at: server.address, timeoutNanoseconds: Self.patience) }
    #expect(count.load(ordering: .relaxed) == 1)
  }

  @Test func `a large page goes out whole`() throws {
    let large = (0..<100_000).map { "a{n=\"\($0)\"} \($0)\n" }.joined()
    try serve(page: { large }) { server in
      let page = try MetricsReader.page(at: server.address, timeoutNanoseconds: Self.patience)
      #expect(page["a"].count == 100_000 && page["a"].last?.value == 99_999)
    }
  }

  @Test func `an address that is taken is an error, and one that is free again is not`() throws {
    let address: SocketAddress
    do {
      let server = try MetricsServer(on: SocketAddress(host: "127.0.0.1", port: 0)!) { "" }
      address = server.address
      #expect(throws: SystemError.self) { try MetricsServer(on: address) { "" } }
      server.stop()
    }
    let next = try MetricsServer(on: address) { "" }
    next.stop()
    #expect(throws: MetricsReader.ReadError.self) { try MetricsReader.page(at: address, timeoutNanoseconds: Self.patience) }
  }

  @Test(arguments: [
    "", "nonsense", "HTTP/1.1 200 OK\r\n", "SMTP/1 200 OK\r\n\r\na 1\n", "HTTP/1.1 500 No\r\n\r\na 1\n", "HTTP/1.1 x\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na 1\n", "HTTP/1.1 200 OK\r\n\r\nnot a sample at all\n",
  ]) func `answers that are none are refused`(text: String) {
    let address = SocketAddress(host: "127.0.0.1", port: 1)!
    #expect(throws: MetricsReader.ReadError.self) { try MetricsReader.page(in: Array(text.utf8), from: address) }
  }
}
