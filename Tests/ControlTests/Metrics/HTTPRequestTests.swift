import Testing

@testable import Control

@Suite struct HTTPRequestTests {
  private func request(_ text: String) -> HTTPRequest? { HTTPRequest(head: Array(text.utf8)) }

  @Test func `requests for pages`() {
    #expect(request("GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n") == .get(path: "/metrics", isHead: false))
    #expect(request("GET /metrics?x=/y HTTP/1.0\r\n\r\n") == .get(path: "/metrics", isHead: false))
    #expect(request("HEAD / HTTP/1.1\r\nHost: a\r\n\r\nmore") == .get(path: "/", isHead: true))
    #expect(request("POST /metrics HTTP/1.1\r\nHost: a\r\n\r\n") == .otherMethod)
  }

  @Test func `a head that has not ended is no request yet`() {
    let whole = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"
    let bytes = Array(whole.utf8)
    for length in bytes.indices { #expect(HTTPRequest(head: Array(bytes.prefix(length))) == nil) }
  }

  @Test(arguments: [
    "\r\n\r\n", " / HTTP/1.1\r\n\r\n", "GET / \r\n\r\n", "GET HTTP/1.1\r\n\r\n", "GET / HTTP/2.0\r\n\r\n", "GET  / HTTP/1.1\r\n\r\n",
    "GET metrics HTTP/1.1\r\n\r\n", "GET / HTTP/1.1 x\r\n\r\n", "G(T / HTTP/1.1\r\n\r\n", "GET /\u{1} HTTP/1.1\r\n\r\n",
    "GET /é HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n", "GET / HTTP/1.1\r\n: empty\r\n\r\n",
    "GET / HTTP/1.1\r\nbad name: x\r\n\r\n",
    "GET / HTTP/1.1\nHost: a\r\n\r\n", "\u{16}\u{3}\u{1}\r\n\r\n",
  ]) func `what is malformed is known as such`(text: String) {
    #expect(request(text) == .malformed)
  }

  @Test func `bytes that are not text are malformed`() {
    #expect(HTTPRequest(head: Array("GET /".utf8) + [0xFF, 0xFE] + Array(" HTTP/1.1\r\n\r\n".utf8)) == .malformed)
  }

  @Test func `responses say how long they are, and that they are the last`() {
    let response = HTTPResponse(status: 200, reason: "OK", contentType: "t", headers: ["A: b"], body: "hé\n")
    let head = "HTTP/1.1 200 OK\r\nContent-Type: t\r\nContent-Length: 4\r\nConnection: close\r\nA: b\r\n\r\n"
    #expect(String(decoding: response.bytes(), as: UTF8.self) == head + "hé\n")
    #expect(String(decoding: response.bytes(withoutBody: true), as: UTF8.self) == head)
  }
}
