import Foundation
import Glibc
import Synchronization

/// A TCP relay on loopback that can hold back or cut what passes: the network between a store and its etcd.
final class TestProxy: Sendable {
  enum Mode: Sendable {
    case relay
    /// Requests pass, answers do not: nothing is lost, nothing arrives.
    case holdAnswers
    /// New connections are closed at once.
    case refuse
  }

  let port: UInt16
  private let target: UInt16
  private let listener: Int32
  private let state: Mutex<State>

  private struct State {
    var mode = Mode.relay
    var descriptors: [Int32] = []
    var requestBytes = 0
    var isClosed = false
  }

  init(to target: UInt16) throws {
    self.target = target
    state = Mutex(State())
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = Self.loopback(port: 0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let listener = listener
    let isListening = unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe bind(listener, $0, length) == 0 && listen(listener, 16) == 0 && getsockname(listener, $0, &length) == 0
      }
    }
    if !isListening { throw POSIXError(.EADDRINUSE) }
    port = UInt16(bigEndian: address.sin_port)
    Thread { [weak self] in
      while true {
        let client = accept(listener, nil, nil)
        guard client >= 0 else { break }
        if let self { take(client) } else { close(client) }
      }
      // Only here: a number closed elsewhere could be another's listener before this thread looks at it again.
      close(listener)
    }.start()
  }

  deinit {
    cut()
    shutdown(listener, Int32(SHUT_RDWR))
  }

  var mode: Mode {
    get { state.withLock { $0.mode } }
    set { state.withLock { $0.mode = newValue } }
  }

  /// Bytes that went to the target so far.
  var requestBytes: Int { state.withLock { $0.requestBytes } }

  /// Ends all connections as they are.
  func cut() {
    state.withLock { state in
      for descriptor in state.descriptors { shutdown(descriptor, Int32(SHUT_RDWR)) }
      state.descriptors = []
    }
  }

  private func take(_ client: Int32) {
    if case .refuse = mode {
      close(client)
      return
    }
    let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = Self.loopback(port: target)
    let isConnected = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
    if !isConnected {
      close(client)
      close(server)
      return
    }
    state.withLock { $0.descriptors += [client, server] }
    relay(from: client, to: server, isRequest: true)
    relay(from: server, to: client, isRequest: false)
  }

  private func relay(from source: Int32, to sink: Int32, isRequest: Bool) {
    Thread { [weak self] in
      var buffer = [UInt8](repeating: 0, count: 1 << 16)
      while true {
        let count = unsafe recv(source, &buffer, buffer.count, 0)
        if count <= 0 { break }
        if isRequest { self?.state.withLock { $0.requestBytes += count } }
        while !isRequest, case .holdAnswers? = self?.mode { usleep(5_000) }
        if unsafe send(sink, buffer, count, Int32(MSG_NOSIGNAL)) != count { break }
      }
      shutdown(source, Int32(SHUT_RDWR))
      shutdown(sink, Int32(SHUT_RDWR))
      // The other direction's thread may still use both: they are closed with the process.
    }.start()
  }

  private static func loopback(port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return address
  }
}
