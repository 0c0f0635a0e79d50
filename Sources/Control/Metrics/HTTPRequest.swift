/// The little of HTTP/1.1 that a page of metrics needs (RFC 9112): the head of one request, without a body, and one response, after which the
/// connection ends.
enum HTTPRequest: Equatable {
  /// GET or HEAD of a path, without what follows a `?`.
  case get(path: String, isHead: Bool)
  /// Well-formed, and nothing that is served.
  case otherMethod
  case malformed

  /// The longest head that is read.
  static let maximumHeadBytes = 8192

  /// What the bytes so far are; nil while the head has not ended.
  init?(head bytes: [UInt8]) {
    guard let end = Self.endOfHead(bytes) else { return nil }
    guard let text = String(validating: bytes[..<end], as: UTF8.self) else {
      self = .malformed
      return
    }
    var lines = text.split(separator: "\r\n", omittingEmptySubsequences: false)
    let words = lines.removeFirst().split(separator: " ", omittingEmptySubsequences: false)
    let headers = lines.filter { !$0.isEmpty }
    let isSound =
      words.count == 3 && Self.isToken(words[0]) && words[1].hasPrefix("/")
      && words[1].utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } && ["HTTP/1.1", "HTTP/1.0"].contains(words[2])
      && headers.allSatisfy { line in line.firstIndex(of: ":").map { Self.isToken(line[..<$0]) } ?? false }
    if !isSound {
      self = .malformed
    } else if words[0] == "GET" || words[0] == "HEAD" {
      self = .get(path: String(words[1].prefix { $0 != "?" }), isHead: words[0] == "HEAD")
    } else {
      self = .otherMethod
    }
  }

  private static func endOfHead(_ bytes: [UInt8]) -> Int? {
    let (cr, lf) = (UInt8(ascii: "\r"), UInt8(ascii: "\n"))
    guard bytes.count >= 4 else { return nil }
    return (3..<bytes.count).first { bytes[$0] == lf && bytes[$0 - 1] == cr && bytes[$0 - 2] == lf && bytes[$0 - 3] == cr }.map { $0 - 3 }
  }

  /// A method or the name of a header (RFC 9110, 5.6.2).
  private static func isToken(_ text: some StringProtocol) -> Bool {
    !text.isEmpty
      && text.utf8.allSatisfy { byte in
        byte > 0x20 && byte < 0x7F && !"\"(),/:;<=>?@[\\]{}".utf8.contains(byte)
      }
  }
}

/// What a server answers before it ends the connection.
struct HTTPResponse: Equatable {
  var status: Int
  var reason: String
  var contentType = "text/plain; charset=utf-8"
  var headers: [String] = []
  var body: String

  static let badRequest = HTTPResponse(status: 400, reason: "Bad Request", body: "This is no HTTP request.\n")
  static let notFound = HTTPResponse(status: 404, reason: "Not Found", body: "There is nothing here but /metrics.\n")
  static let methodNotAllowed = HTTPResponse(
    status: 405, reason: "Method Not Allowed", headers: ["Allow: GET, HEAD"], body: "There is nothing here but to read.\n")
  static let headTooLarge = HTTPResponse(
    status: 431, reason: "Request Header Fields Too Large",
    body: "A request is at most \(HTTPRequest.maximumHeadBytes) bytes long.\n")

  func bytes(withoutBody: Bool = false) -> [UInt8] {
    var head = "HTTP/1.1 \(status) \(reason)\r\nContent-Type: \(contentType)\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n"
    for header in headers { head += header + "\r\n" }
    return Array((head + "\r\n").utf8) + (withoutBody ? [] : Array(body.utf8))
  }
}
