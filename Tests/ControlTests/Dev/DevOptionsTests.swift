import Pool
import Testing

@testable import Control

@Suite struct DevOptionsTests {
  private func value(_ name: String, _ arguments: [String]) -> [String] {
    zip(arguments, arguments.dropFirst()).filter { $0.0 == "--\(name)" }.map(\.1)
  }

  @Test func `each node has its port, its pool and its name`() {
    let options = DevOptions(directory: DevDirectory(path: "/d"), nodeCount: 3, poolBytes: 1 << 30, basePort: 5000)
    #expect(options.nodeNames == ["node-1", "node-2", "node-3"])
    let arguments = options.arguments(ofNode: 2)
    #expect(arguments.first == "node" && arguments.contains("--stop-with-stdin"))
    #expect(value("name", arguments) == ["node-3"])
    #expect(value("store", arguments) == ["sqlite:/d/store.db"])
    #expect(value("listen", arguments) == ["127.0.0.1:5002"])
    #expect(value("advertise", arguments) == ["127.0.0.1:5002"])
    #expect(value("pool", arguments) == ["disk=/d/node-3/disk.pool"])
    #expect(value("pool-size", arguments) == ["1073741824"])
    #expect(value("discovery-port", arguments) == ["none"])
    #expect(value("discovery-port", options.arguments(ofNode: 0)) == ["8009"])
  }

  @Test func `what is announced to hosts is not where the other nodes connect`() {
    let options = DevOptions(
      directory: DevDirectory(path: "/d"), nodeCount: 1, listenHost: "0.0.0.0", basePort: 5000, advertiseHost: "fd00::2")
    let arguments = options.arguments(ofNode: 0)
    #expect(value("listen", arguments) == ["0.0.0.0:5000"])
    #expect(value("advertise", arguments) == ["[fd00::2]:5000"])
    #expect(value("peer", arguments) == ["127.0.0.1:5000"])
  }

  @Test func `pools in memory stand beside or instead of those in files`() throws {
    let memory = try PoolOption("mem:64MiB", createBytes: nil)
    let options = DevOptions(directory: DevDirectory(path: "/d"), nodeCount: 1, poolBytes: nil, memoryPools: [memory])
    #expect(value("pool", options.arguments(ofNode: 0)) == ["memory=mem:64MiB"])
    #expect(value("pool-size", options.arguments(ofNode: 0)).isEmpty)
  }

  @Test func `how a process ended`() {
    #expect(ProcessEnd(waitStatus: 0) == .exited(status: 0))
    #expect(ProcessEnd(waitStatus: 3 << 8) == .exited(status: 3))
    #expect(ProcessEnd(waitStatus: 9) == .killed(signal: 9))
    // With a core dump.
    #expect(ProcessEnd(waitStatus: 0x80 | 11) == .killed(signal: 11))
  }
}
