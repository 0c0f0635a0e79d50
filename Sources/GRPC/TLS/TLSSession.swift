import COpenSSL
import Glibc

/// One TLS connection without its socket: the peer's bytes in, plain bytes out, and the other way round.
@safe final class TLSSession {
  struct Failure: Error, Equatable { var message: String }

  private let context: TLSContext
  private let session: OpaquePointer
  /// Bytes from the peer; owned by the session.
  private let incoming: OpaquePointer
  /// Bytes for the peer; owned by the session.
  private let outgoing: OpaquePointer
  private(set) var isEstablished = false

  /// A client's session for a server called `host`: a name, asked for by SNI and checked, or an address, checked.
  init(_ context: TLSContext, host: String) throws(Failure) {
    self.context = context
    guard let session = unsafe SSL_new(context.context), let incoming = unsafe BIO_new(BIO_s_mem()),
      let outgoing = unsafe BIO_new(BIO_s_mem())
    else { throw Failure(message: "out of memory") }
    unsafe (self.session, self.incoming, self.outgoing) = unsafe (session, incoming, outgoing)
    unsafe SSL_set_bio(session, incoming, outgoing)
    unsafe SSL_set_connect_state(session)
    let name = context.configuration.serverName ?? host
    if Self.isAddress(name) {
      if unsafe X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), name) != 1 { throw Failure(message: "\(name) is no address") }
    } else {
      _ = unsafe keelson_ssl_set_server_name(session, name)
      if unsafe SSL_set1_host(session, name) != 1 { throw Failure(message: "\(name) cannot be a server's name") }
    }
  }

  deinit { unsafe SSL_free(session) }

  /// Takes bytes of the peer and returns what they say. Throws when they are not TLS, the peer is not who it must be, or it ended the
  /// connection.
  func receive(_ bytes: ArraySlice<UInt8>) throws(Failure) -> [UInt8] {
    if !bytes.isEmpty {
      let count = unsafe bytes.withUnsafeBufferPointer { unsafe BIO_write(incoming, $0.baseAddress, Int32($0.count)) }
      if Int(count) != bytes.count { throw Failure(message: "out of memory") }
    }
    if !isEstablished {
      let result = unsafe SSL_do_handshake(session)
      if result != 1 {
        try check(result, during: "TLS handshake")
        return []
      }
      isEstablished = true
      try checkProtocol()
    }
    var plain: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16 << 10)
    while true {
      let count = unsafe buffer.withUnsafeMutableBufferPointer { unsafe SSL_read(session, $0.baseAddress, Int32($0.count)) }
      if count <= 0 {
        try check(count, during: "TLS read")
        return plain
      }
      plain.append(contentsOf: buffer.prefix(Int(count)))
    }
  }

  /// Encrypts all of `bytes` for the peer.
  func send(_ bytes: [UInt8]) throws(Failure) {
    var start = 0
    while start < bytes.count {
      let count = unsafe bytes[start...].withUnsafeBufferPointer { unsafe SSL_write(session, $0.baseAddress, Int32(clamping: $0.count)) }
      if count <= 0 {
        try check(count, during: "TLS write")
        // A memory BIO takes all there is; what it waits for cannot come.
        throw Failure(message: "TLS write: stuck")
      }
      start += Int(count)
    }
  }

  /// What is to be sent to the peer now.
  func output() -> [UInt8] {
    let count = Int(unsafe keelson_bio_pending(outgoing))
    if count <= 0 { return [] }
    var bytes = [UInt8](repeating: 0, count: count)
    let read = unsafe bytes.withUnsafeMutableBufferPointer { unsafe BIO_read(outgoing, $0.baseAddress, Int32($0.count)) }
    return Array(bytes.prefix(max(0, Int(read))))
  }

  /// Returns if the session only waits for more bytes, else throws why it cannot go on.
  private func check(_ result: Int32, during what: String) throws(Failure) {
    switch unsafe SSL_get_error(session, result) {
    case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return
    case SSL_ERROR_ZERO_RETURN: throw Failure(message: "the peer ended the TLS connection")
    default:
      let verification = unsafe SSL_get_verify_result(session)
      if verification != Int(X509_V_OK) {
        let reason = unsafe String(cString: X509_verify_cert_error_string(verification))
        ERR_clear_error()
        throw Failure(message: "\(what): the server's certificate was refused: \(reason)")
      }
      throw Failure(message: "\(what): \(TLSContext.reason())")
    }
  }

  private func checkProtocol() throws(Failure) {
    var data: UnsafePointer<UInt8>?
    var count: UInt32 = 0
    unsafe SSL_get0_alpn_selected(session, &data, &count)
    let chosen = unsafe UnsafeBufferPointer(start: data, count: Int(count))
    if unsafe !chosen.elementsEqual("h2".utf8) { throw Failure(message: "the server does not speak HTTP/2 (ALPN)") }
  }

  private static func isAddress(_ text: String) -> Bool {
    var bytes = [UInt8](repeating: 0, count: 16)
    return unsafe inet_pton(AF_INET, text, &bytes) == 1 || inet_pton(AF_INET6, text, &bytes) == 1
  }
}
