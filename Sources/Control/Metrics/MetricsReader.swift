import CLinux
import Glibc
import Metrics
import Reactor

/// Reads a node's page of metrics: one request, everything bounded, blocking.
public enum MetricsReader {
  public enum ReadError: Error, CustomStringConvertible, Sendable {
    case system(SystemError)
    case timedOut(SocketAddress)
    case tooLarge(SocketAddress)
    case answer(SocketAddress, String)

    public var description: String {
      switch self {
      case .system(let error): "could not \(error)"
      case .timedOut(let address): "\(address) did not answer in time"
      case .tooLarge(let address): "\(address) sends more than \(MetricsReader.maximumBytes >> 20) MiB"
      case .answer(let address, let what): "\(address) answered \(what)"
      }
    }
  }

  /// The longest answer that is taken.
  public static let maximumBytes = 64 << 20

  /// The page that is served there, within the time.
  public static func page(at address: SocketAddress, timeoutNanoseconds: UInt64) throws(ReadError) -> PrometheusPage {
    let deadline = Clock.monotonicNanoseconds() + timeoutNanoseconds
    let descriptor: Int32
    do throws(SystemError) { descriptor = try Socket.connect(to: address) } catch { throw .system(error) }
    defer { close(descriptor) }
    try wait(descriptor, POLLOUT, deadline, address)
    let refusal = Socket.pendingError(descriptor)
    if refusal != 0 { throw .system(SystemError("connect to \(address)", code: refusal)) }
    try write(Array("GET /metrics HTTP/1.1\r\nHost: \(address)\r\nConnection: close\r\n\r\n".utf8), to: descriptor, deadline, address)
    return try page(in: try read(descriptor, deadline, address), from: address)
  }

  /// The page in an answer.
  static func page(in answer: [UInt8], from address: SocketAddress) throws(ReadError) -> PrometheusPage {
    let blank = Array("\r\n\r\n".utf8)
    let limit = min(answer.count, 16 << 10)
    guard limit >= blank.count, let end = (0...(limit - blank.count)).first(where: { Array(answer[$0..<($0 + 4)]) == blank }) else {
      throw .answer(address, "something that is not HTTP")
    }
    let lines = String(decoding: answer[..<end], as: UTF8.self).split(separator: "\r\n")
    let words = lines.first?.split(separator: " ", maxSplits: 2) ?? []
    guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else {
      throw .answer(address, "something that is not HTTP")
    }
    if status != 200 { throw .answer(address, "with status \(status)") }
    let body = answer[(end + blank.count)...]
    for line in lines.dropFirst() {
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2, parts[0].lowercased() == "content-length" else { continue }
      guard Int(parts[1].drop { $0 == " " }) == body.count else { throw .answer(address, "with less than it announced") }
    }
    guard let text = String(validating: body, as: UTF8.self) else { throw .answer(address, "with bytes that are not text") }
    do throws(PrometheusPage.ParseError) {
      return try PrometheusPage(text)
    } catch {
      throw .answer(address, "with something that is not a page of metrics")
    }
  }

  private static func wait(_ descriptor: Int32, _ events: Int32, _ deadline: UInt64, _ address: SocketAddress) throws(ReadError) {
    while true {
      let now = Clock.monotonicNanoseconds()
      if now >= deadline { throw .timedOut(address) }
      var watched = pollfd(fd: descriptor, events: Int16(events), revents: 0)
      let count = unsafe poll(&watched, 1, Int32(clamping: (deadline - now) / 1_000_000 + 1))
      if count > 0 { return }
      if count < 0, errno != EINTR { throw .system(SystemError("wait for \(address)", code: errno)) }
    }
  }

  private static func write(_ bytes: [UInt8], to descriptor: Int32, _ deadline: UInt64, _ address: SocketAddress) throws(ReadError) {
    var sent = 0
    while sent < bytes.count {
      let count = unsafe bytes.withUnsafeBytes {
        unsafe send(descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
      }
      if count > 0 {
        sent += count
      } else if errno == EAGAIN || errno == EINTR {
        try wait(descriptor, POLLOUT, deadline, address)
      } else {
        throw .system(SystemError("write to \(address)", code: errno))
      }
    }
  }

  private static func read(_ descriptor: Int32, _ deadline: UInt64, _ address: SocketAddress) throws(ReadError) -> [UInt8] {
    var answer: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      try wait(descriptor, POLLIN, deadline, address)
      let count = unsafe buffer.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress!, $0.count, 0) }
      if count == 0 { return answer }
      if count < 0 {
        if errno == EAGAIN || errno == EINTR { continue }
        throw .system(SystemError("read from \(address)", code: errno))
      }
      if answer.count + count > maximumBytes { throw .tooLarge(address) }
      answer += buffer.prefix(count)
    }
  }
}
