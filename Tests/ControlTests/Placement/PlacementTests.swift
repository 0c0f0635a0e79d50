import Testing

@testable import Control

@Suite struct PlacementTests {
  private let mebibyte: UInt64 = 1 << 20

  private func node(_ name: String, free: UInt64, nexuses: Int = 0, refusal: String? = nil) -> Placement.Node {
    let pool = Placement.Pool(name: "default", sizeBytes: 1024 * mebibyte, freeBytes: free * mebibyte, clusterBytes: 4 * mebibyte)
    return Placement.Node(name: name, pools: [pool], nexusCount: nexuses, refusal: refusal)
  }

  private func place(_ count: Int, _ nodes: [Placement.Node]) -> Placement.Decision {
    Placement.place(sizeBytes: 100 * mebibyte, replicaCount: count, nodes: nodes)
  }

  private func placed(_ nodes: String...) -> Placement.Decision { .placed(nodes.map { .init(node: $0, pool: "default") }) }

  @Test func mostFreeSpaceFirstThenName() {
    #expect(place(2, [node("c", free: 300), node("b", free: 300), node("a", free: 200)]) == placed("b", "c"))
    #expect(place(2, [node("a", free: 200), node("b", free: 300), node("c", free: 400)]) == placed("c", "b"))
    #expect(place(3, [node("a", free: 200), node("b", free: 300), node("c", free: 400)]) == placed("c", "b", "a"))
  }

  @Test func promisedSpaceCountsAsTaken() {
    func thin(_ name: String, promised: UInt64) -> Placement.Node {
      let pool = Placement.Pool(
        name: "default", sizeBytes: 1024 * mebibyte, freeBytes: 1024 * mebibyte, promisedBytes: promised * mebibyte, clusterBytes: mebibyte)
      return Placement.Node(name: name, pools: [pool])
    }
    #expect(place(2, [thin("a", promised: 100), thin("b", promised: 0), thin("c", promised: 99)]) == placed("b", "c"))
    // More than there is may be promised; the least of it comes first.
    #expect(place(1, [thin("a", promised: 3000), thin("b", promised: 2000)]) == placed("b"))
  }

  @Test func nexusGoesWhereFewestAre() {
    #expect(place(2, [node("a", free: 300, nexuses: 2), node("b", free: 300, nexuses: 1), node("c", free: 1)]) == placed("b", "a"))
    #expect(place(2, [node("a", free: 300, nexuses: 1), node("b", free: 300, nexuses: 1)]) == placed("a", "b"))
  }

  @Test func neverTwoReplicasOnOneNode() {
    var twoPools = node("a", free: 300)
    twoPools.pools.append(.init(name: "more", sizeBytes: 1 << 40, freeBytes: 1 << 40, clusterBytes: mebibyte))
    #expect(place(1, [twoPools]) == .placed([.init(node: "a", pool: "more")]))
    #expect(place(2, [twoPools]) == .refused("needs 2 nodes with room for 100 MiB, found 1 of 1 node"))
  }

  @Test func refusalsNameEveryNode() {
    var faulted = node("node-3", free: 500)
    faulted.pools[0].refusal = "faulted: read error"
    var bare = node("node-4", free: 0)
    bare.pools = []
    let decision = place(
      2, [node("node-1", free: 500), node("node-2", free: 12), faulted, bare, node("node-5", free: 9, refusal: "not running")])
    #expect(
      decision
        == .refused(
          "needs 2 nodes with room for 100 MiB, found 1 of 5 nodes (node-2: pool default full (12 MiB of 1 GiB free); "
            + "node-3: pool default faulted: read error; node-4: no pool; node-5: not running)"))
    #expect(place(1, []) == .refused("needs 1 node with room for 100 MiB, found 0 of 0 nodes"))
  }

  @Test func countsWholeClusters() {
    let pool = Placement.Pool(name: "p", sizeBytes: 1 << 30, freeBytes: 5 * mebibyte, clusterBytes: 4 * mebibyte)
    let nodes = [Placement.Node(name: "a", pools: [pool])]
    #expect(Placement.place(sizeBytes: 4 * mebibyte, replicaCount: 1, nodes: nodes) == .placed([.init(node: "a", pool: "p")]))
    #expect(Placement.place(sizeBytes: 5 * mebibyte, replicaCount: 1, nodes: nodes) != .placed([.init(node: "a", pool: "p")]))
    #expect(Placement.roundedUp(.max, toMultipleOf: 4) == .max)
    #expect(Placement.roundedUp(5, toMultipleOf: 0) == 5)
  }

  @Test func spreadsManyVolumes() {
    var nodes = ["a", "b", "c"].map { node($0, free: 1000) }
    var nexuses: [String: Int] = [:]
    for _ in 0..<12 {
      guard case .placed(let choices) = place(2, nodes) else {
        Issue.record("there was room")
        return
      }
      nexuses[choices[0].node, default: 0] += 1
      for index in nodes.indices where choices.contains(where: { $0.node == nodes[index].name }) {
        nodes[index].pools[0].freeBytes -= 100 * mebibyte
        nodes[index].nexusCount = nexuses[nodes[index].name] ?? 0
      }
    }
    #expect(nexuses == ["a": 4, "b": 4, "c": 4])
    #expect(nodes.map(\.pools[0].freeBytes) == Array(repeating: 200 * mebibyte, count: 3))
  }

  private func thin(_ name: String, free: UInt64, promised: UInt64, limit: UInt64) -> Placement.Node {
    Placement.Node(
      name: name,
      pools: [
        .init(
          name: "p", sizeBytes: 1000 * mebibyte, freeBytes: free * mebibyte, promisedBytes: promised * mebibyte, clusterBytes: mebibyte,
          promiseLimitBytes: limit * mebibyte)
      ])
  }

  @Test func thinReplicasNeedAPromiseAndThickOnesSpace() {
    func decide(_ size: UInt64, _ isThick: Bool, _ node: Placement.Node) -> Placement.Decision {
      Placement.place(sizeBytes: size * mebibyte, replicaCount: 1, isThick: isThick, nodes: [node])
    }
    let node = thin("a", free: 50, promised: 900, limit: 2000)
    #expect(decide(1100, false, node) == .placed([.init(node: "a", pool: "p")]))
    #expect(
      decide(1101, false, node)
        == .refused(
          "needs 1 node with room for 1 GiB, found 0 of 1 node (a: pool p has promised 900 MiB of at most 1.9 GiB to its replicas)"))
    #expect(decide(50, true, node) == .placed([.init(node: "a", pool: "p")]))
    #expect(
      decide(51, true, node) == .refused("needs 1 node with 51 MiB free, found 0 of 1 node (a: pool p full (50 MiB of 1000 MiB free))"))
    let full = thin("a", free: 0, promised: 0, limit: 2000)
    #expect(
      decide(1, false, full) == .refused("needs 1 node with room for 1 MiB, found 0 of 1 node (a: pool p full (0 B of 1000 MiB free))"))
    var boundless = thin("a", free: 1, promised: 5000, limit: 0)
    boundless.pools[0].promiseLimitBytes = .max
    #expect(decide(1 << 20, false, boundless) == .placed([.init(node: "a", pool: "p")]))
  }

  @Test func onlyALackOfSpaceIsWorthNoWaiting() {
    func refusal(_ count: Int, _ nodes: [Placement.Node]) -> String? {
      Placement.capacityRefusal(sizeBytes: 100 * mebibyte, replicaCount: count, isThick: false, nodes: nodes)
    }
    let (roomy, small) = (thin("a", free: 500, promised: 0, limit: 1000), thin("b", free: 500, promised: 950, limit: 1000))
    #expect(refusal(1, [roomy, small]) == nil)
    #expect(refusal(2, [roomy, small])?.contains("b: pool p has promised 950 MiB of at most 1000 MiB") == true)
    #expect(refusal(3, [roomy, small]) == nil, "another node may come")
    var absent = roomy
    absent.refusal = "not running"
    #expect(refusal(1, [absent]) == nil, "it may come back")
    var faulted = roomy
    faulted.pools[0].refusal = "faulted"
    #expect(refusal(2, [faulted, roomy]) == nil)
    #expect(refusal(1, []) == nil)
  }
}
