import Foundation
import Testing

@testable import Control

@Suite struct DevDirectoryTests {
  /// A folder that does not exist yet, in one that vanishes with the test.
  private func withDirectory(_ body: (DevDirectory) throws -> Void) throws {
    let base = FileManager.default.temporaryDirectory.appendingPathComponent("keelson-dev-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: base) }
    try body(DevDirectory(path: base.path + "/a/b"))
  }

  @Test func `KEELSON_DIR comes before the home`() {
    let both = ["KEELSON_DIR": "/x", "HOME": "/home/u"]
    #expect(DevDirectory.standard { both[$0] }?.path == "/x")
    let home = ["KEELSON_DIR": "", "HOME": "/home/u"]
    #expect(DevDirectory.standard { home[$0] }?.path == "/home/u/.keelson/dev")
    #expect(DevDirectory.standard { _ in nil } == nil)
  }

  @Test func `folders are created with those above them, and twice is once`() throws {
    try withDirectory { directory in
      for _ in 0..<2 { try directory.create(nodes: ["node-1"]) }
      for folder in [directory.logFolder, directory.nodeFolder("node-1")] {
        let attributes = try FileManager.default.attributesOfItem(atPath: folder)
        #expect(attributes[.type] as? FileAttributeType == .typeDirectory)
      }
      #expect(directory.poolPath(node: "node-1") == directory.path + "/node-1/disk.pool")
    }
  }

  @Test func `a file in the way is an error that names it`() throws {
    try withDirectory { directory in
      try directory.create(nodes: [])
      let file = directory.path + "/file"
      try Data().write(to: URL(fileURLWithPath: file))
      #expect(throws: DevError.self) { try DevDirectory(path: file).create(nodes: []) }
      #expect(throws: DevError.self) { try DevDirectory(path: file + "/below").create(nodes: []) }
    }
  }

  @Test func `a second one is refused and told who runs`() throws {
    try withDirectory { directory in
      try directory.create(nodes: [])
      #expect(directory.runningProcess() == nil)
      do {
        let lock = try directory.lock()
        #expect(directory.runningProcess() == getpid())
        let error = #expect(throws: DevError.self) { _ = try directory.lock() }
        #expect(error == .alreadyRunning(path: directory.path, processID: getpid()))
        #expect(error?.hint.contains("kill \(getpid())") == true)
        _ = consume lock
      }
      #expect(directory.runningProcess() == nil)
      _ = try directory.lock()
    }
  }

  @Test func `a lock file with nonsense still says that somebody runs`() throws {
    try withDirectory { directory in
      try directory.create(nodes: [])
      let lock = try directory.lock()
      try Data("99999999999999999999 x".utf8).write(to: URL(fileURLWithPath: directory.lockPath))
      #expect(directory.runningProcess() == 0)
      _ = consume lock
    }
  }
}
