import Foundation
import Synchronization
import Target
import Testing

@testable import Control

@Suite struct ControllerIdentifierBlockTests {
  private func withStore(_ body: (SQLiteStore) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("keelson-ids-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let store = try SQLiteStore(path: folder + "/state.db")
    defer { store.close() }
    try body(store)
  }

  @Test func `every node has ids of its own, and the same in every run`() throws {
    try withStore { store in
      let names = (1...ControllerIdentifierBlock.maximumCount).map { "node-\($0)" }
      let ranges = try names.map { try ControllerIdentifierBlock.allot(node: $0, in: store) }
      for (first, second) in zip(ranges, ranges.dropFirst()) { #expect(first.upperBound < second.lowerBound) }
      #expect(ranges.allSatisfy { $0.count >= 256 && SubsystemDescription.controllerIdentifierLimits.contains($0.upperBound) })
      #expect(ranges[0].lowerBound >= SubsystemDescription.controllerIdentifierLimits.lowerBound)
      #expect(try ControllerIdentifierBlock.allot(node: "node-77", in: store) == ranges[76])
      #expect(throws: ControllerIdentifierBlock.Failure.noneLeft) { try ControllerIdentifierBlock.allot(node: "another", in: store) }
    }
  }

  @Test func `a controller that waits for the lead does not take them for its holder`() {
    #expect(!Keys.controllerIdentifiers.hasPrefix(Keys.controllerLease))
  }

  @Test func `nodes that start at the same time do not get the same`() throws {
    try withStore { store in
      let found = Mutex<[ClosedRange<UInt16>]>([])
      DispatchQueue.concurrentPerform(iterations: 8) { index in
        if let range = try? ControllerIdentifierBlock.allot(node: "node-\(index)", in: store) { found.withLock { $0.append(range) } }
      }
      #expect(Set(found.withLock { $0 }.map(\.lowerBound)).count == 8)
    }
  }
}
