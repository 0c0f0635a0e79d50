import Foundation
import NVMe
import Reactor
import Testing

@testable import Bench

@Suite struct BenchRunnerTests {
  private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("keelson-bench-\(UUID().uuidString)").path

  private func inFolder(_ body: (String) throws -> Void) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(folder + "/file")
  }

  private func size(of path: String) throws -> Int {
    try #require(try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
  }

  @Test(arguments: IOEngineChoice.allCases) func `a verified run creates its file and reads back what it wrote`(engine: IOEngineChoice)
    throws
  {
    try inFolder { path in
      let plan = BenchPlan(
        pattern: .randrw, readPercent: 30, depth: 8, jobCount: 3, runtimeNanoseconds: 50_000_000, sizeBytes: 3 << 20, verify: true,
        flushAtEnd: true)
      let source = try BenchSource.file(path: path, plan: plan, force: false)
      let runner = BenchRunner(plan: plan, source: source, target: "t", engine: engine)
      let report = try runner.run(processorCount: 2)
      #expect(report.isClean && report.target == "t")
      #expect(report.reads.operationCount > 0 && report.writes.operationCount > 0)
      #expect(report.flushes.operationCount == 3)
      #expect((report.verification?.blockCount ?? 0) > 0)
      #expect(try size(of: path) == 3 << 20)
    }
  }

  @Test func `a file that holds something is written only by force, and read without it`() throws {
    try inFolder { path in
      let write = BenchPlan(pattern: .write, depth: 2, sizeBytes: 1 << 20, stopsAfterOnePass: true)
      _ = try BenchRunner(plan: write, source: .file(path: path, plan: write, force: false), target: "t").run(processorCount: 1)
      let error = #expect(throws: BenchRunError.self) { _ = try BenchSource.file(path: path, plan: write, force: false) }
      #expect(error?.code == "foreign_content" && error?.hint.contains("--force") == true)
      let read = BenchPlan(pattern: .read, depth: 2, stopsAfterOnePass: true)
      let report = try BenchRunner(plan: read, source: .file(path: path, plan: read, force: false), target: "t").run(processorCount: 1)
      #expect(report.reads.operationCount == 256 && report.isClean)
      _ = try BenchRunner(plan: write, source: .file(path: path, plan: write, force: true), target: "t").run(processorCount: 1)
    }
  }

  @Test func `what cannot be opened says so, and nothing is created`() throws {
    try inFolder { path in
      func code(_ plan: BenchPlan, _ path: String) -> String? {
        do {
          _ = try BenchSource.file(path: path, plan: plan, force: false)
          return nil
        } catch { return error.code }
      }
      let read = BenchPlan(runtimeNanoseconds: 1)
      let write = BenchPlan(pattern: .write, runtimeNanoseconds: 1)
      #expect(code(read, path) == "file_not_found")
      #expect(code(write, path) == "size_missing")
      #expect(!FileManager.default.fileExists(atPath: path))
      #expect(code(read, folder) == "unsuitable_file")
      #expect(code(read, "/dev/null") == "unsuitable_file")
      try Data().write(to: URL(fileURLWithPath: path))
      #expect(code(read, path) == "empty_file")
    }
  }

  @Test func `a plan that does not fit the file is refused`() throws {
    try inFolder { path in
      let small = BenchPlan(pattern: .write, depth: 1, sizeBytes: 1 << 20, stopsAfterOnePass: true)
      _ = try BenchSource.file(path: path, plan: small, force: false)
      let large = BenchPlan(pattern: .randread, runtimeNanoseconds: 1_000_000, sizeBytes: 2 << 20)
      let runner = BenchRunner(plan: large, source: try .file(path: path, plan: large, force: false), target: "t")
      let error = #expect(throws: BenchRunError.self) { _ = try runner.run(processorCount: 1) }
      #expect(error?.code == "plan_not_possible")
    }
  }

  @Test func `a run ends early when it is drained, also before it began`() throws {
    try inFolder { path in
      let plan = BenchPlan(pattern: .randwrite, depth: 4, runtimeNanoseconds: 3_600_000_000_000, sizeBytes: 1 << 20, verify: true)
      for isBefore in [true, false] {
        let runner = BenchRunner(plan: plan, source: try .file(path: path, plan: plan, force: true), target: "t")
        if isBefore { runner.drain() }
        let report = try runner.run(processorCount: 1) { _, _ in runner.drain() }
        #expect(report.isClean)
      }
    }
  }

  @Test func `a target that nobody serves is an error with its address`() throws {
    let listener = try Socket.listen(on: #require(SocketAddress("127.0.0.1:0")))
    let address = try #require(Socket.localAddress(listener))
    close(listener)
    let plan = BenchPlan(runtimeNanoseconds: 1_000_000)
    let name = try #require(QualifiedName("nqn.2024-01.io.example:none"))
    let runner = BenchRunner(plan: plan, source: .subsystem(BenchSubsystem(addresses: [address], name: name)), target: "t")
    let error = #expect(throws: BenchRunError.self) { _ = try runner.run(processorCount: 1) }
    #expect(error?.code == "connection_failed" && error?.message.contains("\(address)") == true)
  }

  @Test func `hosts are told apart, and identifiers are UUIDs`() throws {
    let subsystem = BenchSubsystem(
      addresses: [try #require(SocketAddress("127.0.0.1:1"))], name: try #require(QualifiedName("nqn.2024-01.io.example:none")),
      queueCount: 3, usesDigests: true)
    let identities = [subsystem.makeIdentity(), subsystem.makeIdentity()]
    #expect(identities[0] != identities[1] && identities[0].name != identities[1].name)
    for identity in identities {
      let text = Array("\(identity.identifier)")
      #expect(text[14] == "4" && "89ab".contains(text[19]))
    }
    let options = subsystem.options(depth: 100)
    #expect(options.ioQueues == 3 && options.queueDepth == 34 && options.headerDigest && options.dataDigest)
    #expect(subsystem.options(depth: 1024 * 3).queueDepth == 1024)
  }
}
