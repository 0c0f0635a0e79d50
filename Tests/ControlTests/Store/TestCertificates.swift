import Foundation

/// An authority, a server's and a client's certificate, and another authority, made by the openssl command for one test.
struct TestCertificates {
  private let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
    for authority in ["ca", "other"] {
      try run([
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=\(authority)",
        "-keyout", path("\(authority).key"), "-out", path("\(authority).pem"),
      ])
    }
    try "subjectAltName=IP:127.0.0.1,DNS:localhost\n".write(toFile: path("server.ext"), atomically: true, encoding: .utf8)
    try "extendedKeyUsage=clientAuth\n".write(toFile: path("client.ext"), atomically: true, encoding: .utf8)
    for name in ["server", "client"] {
      try run([
        "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=\(name)", "-keyout", path("\(name).key"),
        "-out", path("\(name).csr"),
      ])
      try run([
        "x509", "-req", "-in", path("\(name).csr"), "-CA", path("ca.pem"), "-CAkey", path("ca.key"), "-CAcreateserial", "-days", "2",
        "-extfile", path("\(name).ext"), "-out", path("\(name).pem"),
      ])
    }
  }

  func path(_ name: String) -> String { "\(directory.path)/\(name)" }

  private func run(_ arguments: [String]) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
    process.arguments = arguments
    let output = Pipe()
    process.standardError = output
    process.standardOutput = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    if process.terminationStatus != 0 { throw CertificateError(text: text) }
  }

  struct CertificateError: Error { var text: String }
}
