import COpenSSL
import Glibc

/// What all TLS sessions of a client share: authorities, our certificate, TLS 1.2 or newer, HTTP/2 by ALPN (RFC 7301), and no way to leave
/// the server unverified.
@safe final class TLSContext: @unchecked Sendable {
  let configuration: TLSConfiguration
  let context: OpaquePointer

  /// Reads the files. Throws `failedPrecondition` with the path that cannot be used.
  init(_ configuration: TLSConfiguration) throws(GRPCError) {
    self.configuration = configuration
    guard let context = unsafe SSL_CTX_new(TLS_client_method()) else { throw Self.failure("TLS cannot be used") }
    unsafe self.context = context
    unsafe keelson_ssl_set_minimum_version(context, TLS1_2_VERSION)
    unsafe keelson_ssl_set_write_modes(context)
    unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
    let protocols: [UInt8] = [2] + Array("h2".utf8)
    _ = unsafe SSL_CTX_set_alpn_protos(context, protocols, UInt32(protocols.count))
    if let path = configuration.authorityPath {
      if unsafe SSL_CTX_load_verify_file(context, path) != 1 { throw Self.failure("cannot read certificate authorities from \(path)") }
    } else if unsafe SSL_CTX_set_default_verify_paths(context) != 1 {
      throw Self.failure("cannot read the system's certificate authorities")
    }
    if let path = configuration.certificatePath {
      if unsafe SSL_CTX_use_certificate_chain_file(context, path) != 1 { throw Self.failure("cannot read a certificate from \(path)") }
      let keyPath = configuration.keyPath ?? path
      if unsafe SSL_CTX_use_PrivateKey_file(context, keyPath, SSL_FILETYPE_PEM) != 1 {
        throw Self.failure("cannot read a private key from \(keyPath)")
      }
      if unsafe SSL_CTX_check_private_key(context) != 1 { throw Self.failure("the key in \(keyPath) is not that of \(path)") }
    }
  }

  deinit { unsafe SSL_CTX_free(context) }

  private static func failure(_ what: String) -> GRPCError {
    GRPCError(.failedPrecondition, "\(what): \(reason())", fate: .unsent)
  }

  /// The first of the library's noted errors; empties its notes.
  static func reason() -> String {
    let code = ERR_get_error()
    ERR_clear_error()
    if code == 0 { return "no reason given" }
    return unsafe ERR_reason_error_string(code).map { unsafe String(cString: $0) } ?? "error \(code)"
  }
}
