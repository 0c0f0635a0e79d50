import Foundation
import Testing

@testable import Control

@Suite struct NodeRequestsTests {
  private func store(node: String) throws -> SQLiteStore {
    let store = try SQLiteStore(path: TemporaryDirectory().path + "/state.db")
    let status = NodeStatus(
      name: node, pid: 1, incarnation: "i", addresses: [], ioEngine: "io_uring", state: .ready, startedAt: .now,
      topology: ["zone": "a", "rack": "r1"])
    _ = try store.transact(StoreTransaction(operations: [.put(key: Keys.nodeStatus(node), value: status.encoded())]))
    return store
  }

  @Test func `what is wanted of a node is written down, and what this version does not know stays`() throws {
    let store = try store(node: "n")
    #expect(throws: NodeRequests.Failure.notFound(name: "m")) { try NodeRequests.update(name: "m", in: store) { $0.isCordoned = true } }
    try NodeRequests.update(name: "n", in: store) { $0.isCordoned = true }
    let key = Keys.nodeSpec("n")
    let written = try #require(try store.get(key)).value
    var tree = try #require(JSONSerialization.jsonObject(with: written) as? [String: Any])
    tree["future"] = "kept"
    try store.put(key, String(decoding: JSONSerialization.data(withJSONObject: tree), as: UTF8.self))
    try NodeRequests.update(name: "n", in: store) { $0.labels["zone"] = "b" }
    let text = try #require(try store.text(key))
    #expect(text.contains("\"future\":\"kept\"") && text.contains("\"cordoned\":true"))
    let state = ClusterState(try store.listAll(prefix: "").entries)
    #expect(state.labels(ofNode: "n") == ["zone": "b", "rack": "r1"])
    let view = try #require(NodeView.all(in: state).first)
    #expect(view.isCordoned && !view.isDraining && view.labels["zone"] == "b")
    // A label that was taken back does not come again with the unknown fields.
    try NodeRequests.update(name: "n", in: store) { $0.labels["zone"] = nil }
    #expect(ClusterState(try store.listAll(prefix: "").entries).labels(ofNode: "n")["zone"] == "a")
  }

  @Test func `what is wanted already changes nothing`() throws {
    let store = try store(node: "n")
    try NodeRequests.update(name: "n", in: store) { $0.isDraining = true }
    let revision = try #require(try store.get(Keys.nodeSpec("n"))).modRevision
    try NodeRequests.update(name: "n", in: store) { $0.isDraining = true }
    #expect(try store.get(Keys.nodeSpec("n"))?.modRevision == revision)
  }

  @Test func `labels are checked`() throws {
    #expect(try Labels.parse("topology.kubernetes.io/zone=eu-1a") == ("topology.kubernetes.io/zone", "eu-1a"))
    for text in ["zone", "=a", "zone=", "zo ne=a", "zone=a/b", "zone=" + String(repeating: "x", count: 64)] {
      #expect(throws: ObjectError.self) { try Labels.parse(text) }
    }
    let many = Dictionary(uniqueKeysWithValues: (0...Labels.maximumCount).map { ("k\($0)", "v") })
    #expect(throws: ObjectError.self) { try Labels.validate(many) }
    let store = try store(node: "n")
    #expect(throws: ObjectError.self) { try NodeRequests.update(name: "n", in: store) { $0.labels = many } }
  }
}
