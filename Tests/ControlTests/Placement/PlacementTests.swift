import Testing

@testable import Control

@Suite struct PlacementTests {
  private let mebibyte: UInt64 = 1 << 20

  private func node(_ name: String, free: UInt64, nexuses: Int = 0, refusal: String? = nil) -> Placement.Node {
    let pool = Placement.Pool(name: "default", sizeBytes: 1024 * mebibyte, freeBytes: free * mebibyte, clusterBytes: 4 * mebibyte)
    return Placement.Node(name: name, pools: [pool], nexusCount: nexuses, refusal: refusal)
  }

  private func place(_ count: Int, _ nodes: [Placement.Node]) -> Placement.Decision {
    Placement.place(.init(sizeBytes: 100 * mebibyte, replicaCount: count), nodes: nodes)
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
    #expect(Placement.place(.init(sizeBytes: 4 * mebibyte, replicaCount: 1), nodes: nodes) == .placed([.init(node: "a", pool: "p")]))
    #expect(Placement.place(.init(sizeBytes: 5 * mebibyte, replicaCount: 1), nodes: nodes) != .placed([.init(node: "a", pool: "p")]))
    #expect(Placement.roundedUp(.max, toMultipleOf: 4) == .max)
    #expect(Placement.roundedUp(5, toMultipleOf: 0) == 5)
  }

  @Test func spreadsManyVolumes() {
    var nodes = ["a", "b", "c"].map { node($0, free: 1000) }
    var nexuses: [String: Int] = [:]
    for _ in 0..<12 {
      guard case .placed(let choices, _) = place(2, nodes) else {
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
      Placement.place(.init(sizeBytes: size * mebibyte, replicaCount: 1, isThick: isThick), nodes: [node])
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
      Placement.capacityRefusal(.init(sizeBytes: 100 * mebibyte, replicaCount: count), nodes: nodes)
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

  // MARK: Labels, groups, locality

  private func labelled(_ name: String, _ labels: [String: String], free: UInt64 = 500) -> Placement.Node {
    var node = node(name, free: free)
    node.labels = labels
    return node
  }

  private func nodes(_ decision: Placement.Decision) -> [String] {
    guard case .placed(let choices, _) = decision else { return [] }
    return choices.map(\.node).sorted()
  }

  @Test func `replicas go to different zones and then racks, as far as there are any`() {
    let all = [
      labelled("a", ["zone": "1", "rack": "x"], free: 900), labelled("b", ["zone": "1", "rack": "y"], free: 800),
      labelled("c", ["zone": "2", "rack": "x"], free: 100), labelled("d", ["zone": "2", "rack": "z"], free: 100),
    ]
    func request(_ count: Int, _ spread: [String]) -> Placement.Request {
      .init(sizeBytes: 50 * mebibyte, replicaCount: count, spread: spread)
    }
    #expect(nodes(Placement.place(request(2, []), nodes: all)) == ["a", "b"])
    #expect(nodes(Placement.place(request(2, ["zone"]), nodes: all)) == ["a", "c"])
    #expect(nodes(Placement.place(request(2, ["zone", "rack"]), nodes: all)) == ["a", "d"])
    let crowded = Placement.place(request(3, ["zone"]), nodes: all)
    #expect(nodes(crowded) == ["a", "b", "c"])
    guard case .placed(_, let remarks) = crowded else { return }
    #expect(remarks == ["not all in different places by label zone"])
    // Replicas that are there count too.
    var more = request(1, ["zone"])
    more.occupiedNodes = ["c"]
    #expect(nodes(Placement.place(more, nodes: all)) == ["a"])
    more.occupiedNodes = ["a"]
    #expect(nodes(Placement.place(more, nodes: all)) == ["c"])
  }

  @Test func `a label that is asked for must be there`() {
    let all = [labelled("a", ["disk": "ssd"]), labelled("b", ["disk": "hdd"]), labelled("c", [:])]
    let request = Placement.Request(sizeBytes: mebibyte, replicaCount: 2, affinity: ["disk": "ssd"])
    #expect(
      Placement.place(request, nodes: all)
        == .refused(
          "needs 2 nodes with room for 1 MiB, found 1 of 3 nodes (b: its label disk is hdd, not ssd; c: it has no label disk, not ssd)"))
  }

  @Test func `volumes of a group keep apart`() {
    var all = ["a", "b", "c", "d"].map { node($0, free: 500) }
    all[0].groupReplicaCount = 1
    all[1].groupReplicaCount = 1
    all[0].groupNexusCount = 1
    #expect(nodes(place(2, all)) == ["c", "d"])
    for index in all.indices { all[index].groupReplicaCount = 1 }
    all[1].nexusCount = 5
    // The nexus too: not where the group has one, even if that node has fewer others.
    #expect(place(2, all) == .placed([.init(node: "b", pool: "default"), .init(node: "a", pool: "default")]))
  }

  @Test func `where it is used is preferred or needed`() {
    let all = [node("a", free: 900), node("b", free: 800), node("c", free: 200), node("d", free: 10)]
    func request(_ locality: VolumeSpec.Locality, _ near: String) -> Placement.Request {
      .init(sizeBytes: 100 * mebibyte, replicaCount: 2, locality: locality, preferredNode: near)
    }
    #expect(Placement.place(request(.prefer, "c"), nodes: all) == placed("c", "a"))
    #expect(Placement.place(request(.strict, "c"), nodes: all) == placed("c", "a"))
    #expect(Placement.place(request(.none, "c"), nodes: all) == placed("a", "b"))
    #expect(
      Placement.place(request(.prefer, "d"), nodes: all)
        == .placed([.init(node: "a", pool: "default"), .init(node: "b", pool: "default")], remarks: ["not on d, which was preferred"]))
    #expect(
      Placement.place(request(.strict, "d"), nodes: all)
        == .refused("needs a replica on d, where it is used (d: pool default full (10 MiB of 1 GiB free))"))
    #expect(
      Placement.place(request(.strict, "e"), nodes: all)
        == .refused(
          "needs a replica on e, where it is used (d: pool default full (10 MiB of 1 GiB free))"))
  }

  @Test func `a pool may have a limit of replicas`() {
    var limited = node("a", free: 500)
    limited.pools[0].replicaCount = 3
    limited.pools[0].maximumReplicas = 3
    #expect(
      place(1, [limited]) == .refused("needs 1 node with room for 100 MiB, found 0 of 1 node (a: pool default has 3 of at most 3 replicas)")
    )
    limited.pools[0].maximumReplicas = 4
    #expect(nodes(place(1, [limited])) == ["a"])
  }

  @Test func `the largest volume that fits is placed, and one step more is not`() {
    let all = [node("a", free: 901), node("b", free: 703), node("c", free: 302)]
    for count in 1...3 {
      var request = Placement.Request(sizeBytes: 0, replicaCount: count)
      let largest = Placement.largestVolume(request, nodes: all)
      // Whole clusters of 4 MiB.
      #expect(largest == [900, 700, 300][count - 1] * mebibyte)
      request.sizeBytes = largest
      #expect(nodes(Placement.place(request, nodes: all)).count == count)
      request.sizeBytes += VolumeSpec.sizeStepBytes
      #expect(nodes(Placement.place(request, nodes: all)).isEmpty)
    }
    #expect(Placement.largestVolume(.init(sizeBytes: 0, replicaCount: 4), nodes: all) == 0)
    let promising = thin("t", free: 10, promised: 300, limit: 2000)
    #expect(Placement.largestVolume(.init(sizeBytes: 0, replicaCount: 1), nodes: [promising]) == 1700 * mebibyte)
    #expect(Placement.largestVolume(.init(sizeBytes: 0, replicaCount: 1, isThick: true), nodes: [promising]) == 10 * mebibyte)
  }
}
