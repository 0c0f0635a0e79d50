import Foundation
import Target

/// The NVMe controller ids that a node gives to hosts, apart from those of all other nodes, since a host sees the controllers of a volume's paths as
/// those of one subsystem (R19). At `lease/nvme-ids/<number>`, written by the node when it starts for the first time, and kept: an id is not
/// soon another node's.
struct ControllerIdentifierBlock: StoredObject {
  static let kind = "block of controller ids"
  /// As many nodes can have ids of their own.
  static let maximumCount = 128
  static let size = Int(SubsystemDescription.controllerIdentifierLimits.upperBound) / maximumCount

  enum Failure: Error, Equatable, CustomStringConvertible {
    case noneLeft

    var description: String {
      "all \(ControllerIdentifierBlock.maximumCount) blocks belong to other nodes; delete \(Keys.controllerIdentifiers)* of nodes that are gone for good"
    }
  }

  var node: String

  static func key(_ number: Int) -> String {
    Keys.controllerIdentifiers + String(repeating: "0", count: 3 - "\(number)".count) + "\(number)"
  }

  static func range(_ number: Int) -> ClosedRange<UInt16> {
    let first = number * size + 1
    return UInt16(first)...UInt16(first + size - 1)
  }

  /// The node's block, a new one if it has none. Throws `Failure`, or what the store says.
  static func allot(node: String, in store: any StateStore) throws -> ClosedRange<UInt16> {
    // Each try loses against another node that took the same block, and there are no more than so many.
    for _ in 0...maximumCount {
      var owners: [String: String] = [:]
      for entry in try store.listAll(prefix: Keys.controllerIdentifiers).entries {
        owners[entry.key] = try Stored<ControllerIdentifierBlock>(entry).object.node
      }
      if let own = (0..<maximumCount).first(where: { owners[key($0)] == node }) { return range(own) }
      guard let free = (0..<maximumCount).first(where: { owners[key($0)] == nil }) else { throw Failure.noneLeft }
      let block = ControllerIdentifierBlock(node: node)
      let transaction = StoreTransaction(
        compares: [.absent(key: key(free))], operations: [.put(key: key(free), value: block.encoded())])
      if try store.transact(transaction).committedRevision != nil { return range(free) }
    }
    throw Failure.noneLeft
  }
}
