import GRPC
import Testing

@testable import Control

@Suite struct StoreLocationTests {
  @Test(arguments: [
    "sqlite:/a/b.db", "etcd://10.0.0.1:2379", "etcd://a:1,b:2,[::1]:3", "etcd://a:1?tls=true", "etcd://a:1?ca=/x/ca.pem&cert=/c&key=/k",
    "etcd://a:1?server-name=etcd.example", "etcd://a:1?user=node-1&password-file=/run/secret?x=1",
    "etcd://a:1?ca=/x&user=u&password-file=/p",
  ]) func `locations are read and written`(_ text: String) throws {
    let location = try #require(StoreLocation(text))
    #expect(location.description == text)
    #expect(StoreLocation(location.description) == location)
  }

  @Test(arguments: [
    "", "sqlite:", "/a/b.db", "etcd:http://x", "etcd://", "etcd://a", "etcd://a:1,", "etcd://a:1,a:1", "etcd://a:0", "etcd://a:1/x",
    "etcd://a:1?", "etcd://a:1?ca", "etcd://a:1?ca=", "etcd://a:1?ca=/x&ca=/y", "etcd://a:1?bogus=1", "etcd://a:1?tls=no",
    "etcd://a:1?user=u", "etcd://a:1?password-file=/p", "etcd://a:1?key=/k", "etcd://unix:/x", "etcd://root:secret@a:1",
  ]) func `what names no store is refused`(_ text: String) {
    #expect(StoreLocation(text) == nil)
  }

  @Test func `the parts are where they belong`() throws {
    let location = StoreLocation("etcd://a:1,b:2?ca=/ca&cert=/cert&key=/key&server-name=n&user=u&password-file=/p")
    guard case .etcd(let options)? = location else {
      Issue.record("not etcd")
      return
    }
    #expect(options.endpoints == [.tcp(host: "a", port: 1), .tcp(host: "b", port: 2)])
    #expect(options.tls == TLSConfiguration(authorityPath: "/ca", certificatePath: "/cert", keyPath: "/key", serverName: "n"))
    #expect(options.user == "u" && options.passwordPath == "/p")
  }
}
