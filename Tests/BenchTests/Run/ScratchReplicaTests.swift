import Foundation
import Pool
import Testing

@testable import Bench

/// Measurements in a pool of a file, without a network.
@Suite struct ScratchReplicaTests {
  private static let mebibyte: UInt64 = 1 << 20

  @Test(arguments: ScratchReplica.State.allCases) func `is measured, verified and removed in every state`(state: ScratchReplica.State)
    throws
  {
    let path = FileManager.default.temporaryDirectory.appending(path: "keelson-scratch-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    let other = PoolIdentifier.random()
    let free = try withPool(Pool.format(path: path, name: "p", createFileBytes: 64 * Self.mebibyte)) { pool in
      try pool.createReplica(id: other, volumeID: other, sizeBytes: Self.mebibyte)
      return pool.freeBytes
    }
    let scratch = ScratchReplica(poolPath: path, sizeBytes: 8 * Self.mebibyte, state: state)
    var fillCount = 0
    try scratch.prepare { source in
      fillCount += 1
      let plan = BenchPlan(pattern: .write, blockBytes: Self.mebibyte, depth: 4, sizeBytes: 8 * Self.mebibyte, stopsAfterOnePass: true)
      let report = try BenchRunner(plan: plan, source: source, target: "t").run(processorCount: 2)
      #expect(report.isClean)
    }
    #expect(fillCount == (state == .fresh || state == .thick ? 0 : 1))
    // Several jobs share the one reactor of the pool.
    let plan = BenchPlan(
      pattern: .randrw, readPercent: 40, depth: 8, jobCount: 3, runtimeNanoseconds: 100_000_000, verify: true, flushAtEnd: true)
    let report = try BenchRunner(plan: plan, source: scratch.source(), target: "t").run(processorCount: 2)
    #expect(report.isClean && report.writes.operationCount > 0, "\(report.text())")
    try scratch.remove()
    try withPool(Pool.open(path: path)) { pool in
      #expect(pool.freeBytes == free && pool.replicas.map(\.id) == [other] && pool.snapshots.isEmpty)
    }
  }

  @Test func `a pool in use, and one that is none, are refused in a sentence`() throws {
    let path = FileManager.default.temporaryDirectory.appending(path: "keelson-scratch-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    let scratch = ScratchReplica(poolPath: path, sizeBytes: Self.mebibyte, state: .fresh)
    #expect(throws: BenchRunError.self) { try scratch.prepare { _ in } }
    try withPool(Pool.format(path: path, name: "p", createFileBytes: 64 * Self.mebibyte)) { _ in
      _ = #expect(throws: BenchRunError.self) { try scratch.prepare { _ in } }
    }
  }

  @discardableResult
  private func withPool<Value>(_ pool: Pool, _ body: (Pool) throws -> Value) throws -> Value {
    let value = try body(pool)
    try pool.close()
    return value
  }
}
