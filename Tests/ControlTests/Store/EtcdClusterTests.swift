import Foundation
import GRPC
import Protobuf
import Testing

@testable import Control

/// Three members of which one dies or stalls, and clusters that let in only whom they know.
@Suite(.serialized) struct EtcdClusterTests {
  @Test func `one of three members may be killed`() throws {
    let server = try EtcdServer(memberCount: 3)
    let store = try server.open()
    let watch = try store.watch(prefix: "k/", fromRevision: 1)
    let lease = try store.grantLease(ttlSeconds: 30)
    try store.put("k/lease", "1", lease: lease.id)
    var written: Set<String> = ["k/lease"]
    var seen: Set<String> = []
    var longest = Duration.zero
    for (round, victim) in ["m0", "m1", "m2"].enumerated() {
      server.kill(victim)
      for number in 0..<20 {
        let key = "k/\(round)-\(number)"
        let start = ContinuousClock.now
        try Self.putSurely(store, key)
        longest = max(longest, ContinuousClock.now - start)
        written.insert(key)
        try store.keepAlive(lease.id)
      }
      while seen != written, let batch = try watch.next(timeoutNanoseconds: 10 * secondNanoseconds) {
        seen.formUnion(batch.events.map(\.key))
      }
      #expect(seen == written)
      try server.start(victim)
    }
    #expect(longest < .seconds(10))
    #expect(try store.listAll(prefix: "k/").entries.map(\.key) == written.sorted())
  }

  /// A member that is stopped (SIGSTOP) answers nothing and closes nothing.
  @Test func `a stalled member is left for another`() throws {
    let server = try EtcdServer(memberCount: 3)
    let store = try server.open()
    let watch = try store.watch(prefix: "", fromRevision: 1)
    try Self.putSurely(store, "a")
    #expect(try watch.next(timeoutNanoseconds: 5 * secondNanoseconds)?.events.map(\.key) == ["a"])
    for member in server.members {
      server.signal(member.name, SIGSTOP)
      try Self.putSurely(store, member.name)
      // What was asked of a member that stood still, and repeated at another, may come once more when it goes on.
      var seen: Set<String> = []
      while !seen.contains(member.name), let batch = try watch.next(timeoutNanoseconds: 20 * secondNanoseconds) {
        seen.formUnion(batch.events.map(\.key))
      }
      #expect(seen.contains(member.name))
      server.signal(member.name, SIGCONT)
    }
  }

  @Test func `without a majority nothing is promised`() throws {
    let server = try EtcdServer(memberCount: 3)
    var options = server.options
    options.callTimeoutNanoseconds = 2_000_000_000
    options.attemptTimeoutNanoseconds = 700_000_000
    _ = try server.open()
    let store = try EtcdStore(options)
    try store.put("a", "1")
    server.kill("m0")
    server.kill("m1")
    #expect(throws: StoreError.self) { try store.get("a") }
    #expect(throws: StoreError.self) { try store.put("a", "2") }
    try server.start("m0")
    var text: String?
    for _ in 0..<10 where text == nil { text = try? store.text("a") }
    #expect(text == "1" || text == "2")
  }

  /// Writes as callers do: reads back what is unknown.
  static func putSurely(_ store: EtcdStore, _ key: String) throws {
    for _ in 0..<10 {
      do {
        try store.put(key, "")
        return
      } catch StoreError.outcomeUnknown {
        if try store.get(key) != nil { return }
      } catch StoreError.unavailable {
        usleep(100_000)
      }
    }
    Issue.record("\(key) could not be written")
  }

  @Test func `TLS proves both sides`() throws {
    let certificates = try TestCertificates()
    let server = try EtcdServer(
      scheme: "https",
      arguments: [
        "--cert-file", certificates.path("server.pem"), "--key-file", certificates.path("server.key"), "--client-cert-auth",
        "--trusted-ca-file", certificates.path("ca.pem"),
      ])
    var options = server.options
    options.tls = TLSConfiguration(
      authorityPath: certificates.path("ca.pem"), certificatePath: certificates.path("client.pem"), keyPath: certificates.path("client.key")
    )
    let store = try server.open(options)
    try store.put("a", "secret")
    let watch = try store.watch(prefix: "", fromRevision: 1)
    #expect(try watch.next(timeoutNanoseconds: 5 * secondNanoseconds)?.events.count == 1)
    // More than one TLS record, both ways.
    let large = Data((0..<200_000).map { UInt8(truncatingIfNeeded: $0) })
    _ = try store.transact(StoreTransaction(operations: [.put(key: "b", value: large)]))
    #expect(try store.get("b")?.value == large)

    var bad = options
    bad.callTimeoutNanoseconds = 1_000_000_000
    func refusal(_ options: EtcdOptions) -> String {
      do {
        _ = try EtcdStore(options)
        return "was let in"
      } catch {
        return "\(error)"
      }
    }
    bad.tls?.authorityPath = certificates.path("other.pem")
    #expect(refusal(bad).contains("certificate was refused"))
    bad = options
    bad.callTimeoutNanoseconds = 1_000_000_000
    bad.tls?.serverName = "elsewhere.example"
    #expect(refusal(bad).contains("certificate was refused"))
    bad = options
    bad.callTimeoutNanoseconds = 1_000_000_000
    bad.tls?.certificatePath = nil
    bad.tls?.keyPath = nil
    #expect(refusal(bad).contains("cannot be used now"))
    bad.tls = nil
    #expect(refusal(bad).contains("cannot be used now"))
    bad.tls = TLSConfiguration(authorityPath: "/nowhere/ca.pem")
    #expect(refusal(bad).contains("/nowhere/ca.pem"))
    bad.tls = TLSConfiguration(
      authorityPath: certificates.path("ca.pem"), certificatePath: certificates.path("client.pem"), keyPath: certificates.path("server.key")
    )
    #expect(refusal(bad).contains("server.key"))
  }

  /// The very flags of the manifest, and the certificates that its job makes.
  @Test func `Kubernetes' etcd lets in clients and members with their own certificates, and nobody else`() throws {
    let deploy = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "deploy").path
    let directory = try TemporaryDirectory()
    let folder = directory.path + "/tls"
    let host = "keelson-etcd-0.keelson-etcd.keelson.svc"
    #expect(try Self.status("/bin/bash", [deploy + "/etcd-certificates.sh", folder, host]) == 0)
    let flags = try String(contentsOfFile: deploy + "/kubernetes/base/etcd.yaml", encoding: .utf8).split(separator: "\n")
      .map { $0.trimmingPrefix { $0 == " " || $0 == "-" } }
      .filter { $0.contains("=/etc/etcd/tls/") || $0.hasSuffix("client-cert-auth") || $0.hasPrefix("peer-cert-allowed-cn") }
      .map { "--" + $0.replacing("/etc/etcd/tls", with: folder) }
    try #require(flags.count == 9, "\(flags)")
    let server = try EtcdServer(memberCount: 3, scheme: "https", peerScheme: "https", arguments: flags)
    var options = server.options
    func tls(_ side: String) -> TLSConfiguration {
      TLSConfiguration(
        authorityPath: folder + "/ca.crt", certificatePath: "\(folder)/\(side).crt", keyPath: "\(folder)/\(side).key", serverName: host)
    }
    options.tls = tls("client")
    // Three members that answer have found each other.
    let store = try server.open(options)
    try store.put("a", "b")
    #expect(try store.get("a") != nil)
    var bad = options
    bad.callTimeoutNanoseconds = 1_000_000_000
    bad.tls?.certificatePath = nil
    bad.tls?.keyPath = nil
    #expect(throws: StoreError.self) { _ = try EtcdStore(bad) }
    // A client is no member.
    func asPeer(_ side: String) throws -> Int32 {
      try Self.status(
        "/usr/bin/curl",
        [
          "--silent", "--http1.1", "--output", "/dev/null", "--fail", "--max-time", "60", "--cacert", folder + "/ca.crt", "--cert",
          "\(folder)/\(side).crt", "--key",
          "\(folder)/\(side).key", "https://127.0.0.1:\(server.members[0].peerPort)/members",
        ])
    }
    #expect(try asPeer("server") == 0)
    #expect(try asPeer("client") != 0)
  }

  private static func status(_ program: String, _ arguments: [String]) throws -> Int32 {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    try process.run()
    process.waitUntilExit()
    return process.terminationStatus
  }

  @Test func `user and password`() throws {
    let server = try EtcdServer()
    let admin = try server.open()
    for request in [
      ("UserAdd", Etcd.CredentialsRequest(name: "root", password: "pass word") as any ProtobufWritable),
      ("RoleAdd", Etcd.NameRequest(name: "root")), ("UserGrantRole", Etcd.UserRoleRequest(user: "root", role: "root")),
      ("UserAdd", Etcd.CredentialsRequest(name: "nobody", password: "x")), ("AuthEnable", Etcd.NameRequest(name: "")),
    ] {
      func call(_ message: some ProtobufWritable) throws {
        let _: Etcd.PlainResponse = try admin.client.call("/etcdserverpb.Auth/\(request.0)", message, .unlessSeen)
      }
      try call(request.1)
    }
    #expect(throws: StoreError.self) { try admin.get("a") }
    let directory = try TemporaryDirectory()
    let path = directory.path + "/password"
    try "pass word\n".write(toFile: path, atomically: true, encoding: .utf8)
    var options = server.options
    (options.user, options.passwordPath) = ("root", path)
    let store = try EtcdStore(options)
    try store.put("a", "1")
    let watch = try store.watch(prefix: "", fromRevision: 1)
    #expect(try watch.next(timeoutNanoseconds: 5 * secondNanoseconds)?.events.count == 1)
    // A restarted server knows no tokens.
    server.kill("m0")
    try server.start("m0")
    try EtcdClusterTests.putSurely(store, "b")
    #expect(try watch.next(timeoutNanoseconds: 10 * secondNanoseconds)?.events.map(\.key) == ["b"])

    try "wrong\n".write(toFile: path, atomically: true, encoding: .utf8)
    #expect {
      try EtcdStore(options)
    } throws: {
      "\($0)".contains("authentication failed")
    }
    try "x\n".write(toFile: path, atomically: true, encoding: .utf8)
    options.user = "nobody"
    #expect {
      try EtcdStore(options)
    } throws: {
      "\($0)".contains("permission denied")
    }
    options.passwordPath = directory.path + "/absent"
    #expect {
      try EtcdStore(options)
    } throws: {
      "\($0)".contains("/absent")
    }
  }
}
