import Pool
import Testing

@testable import Control

@Suite struct PoolOptionTests {
  @Test(arguments: [
    ("mem:512MiB", "memory", "memory=mem:512MiB"),
    ("fast=mem:1GiB", "fast", "fast=mem:1GiB"),
    ("/dev/nvme0n1", "nvme0n1", "nvme0n1=/dev/nvme0n1"),
    ("/data/Disk_1.pool", "disk-1", "disk-1=/data/Disk_1.pool"),
    ("disk=/data/a=b", "disk", "disk=/data/a=b"),
    ("/data/a=b.img", "a-b", "a-b=/data/a=b.img"),
    ("./.hidden", "hidden", "hidden=./.hidden"),
    ("/x/--a--", "a", "a=/x/--a--"),
  ]) func `names come from the option or from the file`(text: String, name: String, again: String) throws {
    let option = try PoolOption(text, createBytes: 5)
    #expect(option.name == name)
    #expect(option.text == again)
    #expect(option.createBytes == 5)
    #expect(try PoolOption(again, createBytes: 5) == option)
  }

  @Test(arguments: ["", "x=", "mem:", "mem:0", "mem:12X", "x=mem:"]) func `no place is refused`(text: String) {
    #expect(throws: PoolOption.ParseError.self) { try PoolOption(text, createBytes: nil) }
  }

  @Test(arguments: ["Upper=/a", "=/a", "a_b=/a", "/", "/data/___"]) func `names that no key may have are refused`(text: String) {
    let error = #expect(throws: PoolOption.ParseError.self) { try PoolOption(text, createBytes: nil) }
    if case .location = error { Issue.record("the place is fine: \(text)") }
  }

  @Test func `a store is named by its kind and path`() {
    #expect(StoreLocation("sqlite:/a/b.db") == .sqlite(path: "/a/b.db"))
    #expect(StoreLocation("sqlite:/a/b.db")?.description == "sqlite:/a/b.db")
    for text in ["", "sqlite:", "/a/b.db", "etcd:http://x"] { #expect(StoreLocation(text) == nil) }
  }
}
