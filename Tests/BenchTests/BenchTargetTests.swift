import Testing

@testable import Bench

@Suite struct BenchTargetTests {
  @Test(
    arguments: [
      ("db", .volume("db")), ("/dev/sdb", .path("/dev/sdb")), ("./file", .path("./file")), ("dir/file", .path("dir/file")),
      ("nvme-tcp://127.0.0.1:4421/nqn.2024-01.io.x:v", .nvmeTCP(host: "127.0.0.1", port: 4421, subsystemNQN: "nqn.2024-01.io.x:v")),
      ("nvme-tcp://node-a/nqn:v/w", .nvmeTCP(host: "node-a", port: 4420, subsystemNQN: "nqn:v/w")),
      ("nvme-tcp://[fe80::1%eth0]:1/n", .nvmeTCP(host: "fe80::1%eth0", port: 1, subsystemNQN: "n")),
      ("nvme-tcp://[::1]/n", .nvmeTCP(host: "::1", port: 4420, subsystemNQN: "n")),
    ] as [(String, BenchTarget)])
  func targets(text: String, target: BenchTarget) throws {
    #expect(try BenchTarget.parse(text) == target)
  }

  @Test(arguments: [
    "", "http://x/y", "nvme-tcp://", "nvme-tcp://host", "nvme-tcp://host/", "nvme-tcp:///n", "nvme-tcp://host:/n", "nvme-tcp://host:0/n",
    "nvme-tcp://host:65536/n", "nvme-tcp://host:x/n", "nvme-tcp://[::1/n", "nvme-tcp://[::1]x/n", "nvme-tcp://[]:1/n",
    "nvme-tcp://h/a b", "nvme-tcp://h/" + String(repeating: "n", count: 224),
  ])
  func refusals(text: String) {
    #expect(throws: BenchTarget.ParseError.self) { try BenchTarget.parse(text) }
  }
}
