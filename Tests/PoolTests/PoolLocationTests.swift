import Testing

@testable import Pool

@Suite struct PoolLocationTests {
  @Test(arguments: [
    ("mem:512MiB", PoolLocation.memory(byteCount: 512 << 20)), ("mem:1GiB", .memory(byteCount: 1 << 30)),
    ("mem:2TiB", .memory(byteCount: 2 << 40)), ("mem:3KiB", .memory(byteCount: 3072)), ("mem:1000", .memory(byteCount: 1000)),
    ("/dev/sdb", .path("/dev/sdb")), ("memory", .path("memory")),
    ("drill:/data/a.pool", .drill(path: "/data/a.pool")),
  ])
  func `reads all kinds`(text: String, location: PoolLocation) throws {
    #expect(try PoolLocation(text) == location)
    #expect(location.description == text)
  }

  @Test(arguments: ["", "drill:", "mem:", "mem:0", "mem:MiB", "mem:1MB", "mem:-1GiB", "mem:99999999999TiB", "mem:1.5GiB", "mem: 1GiB"])
  func `refuses what is neither`(text: String) {
    #expect(throws: PoolError.invalidLocation(text: text)) { try PoolLocation(text) }
  }
}
