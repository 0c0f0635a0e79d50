import Foundation
import NVMe
import Testing

@testable import Control

/// The JSON that lies in the store, its versions and the fields it does not know.
@Suite struct ObjectTests {
  private func entry(_ json: String, key: String = "k") -> StoreEntry {
    StoreEntry(key: key, value: Data(json.utf8), createRevision: 1, modRevision: 7, version: 1)
  }

  private let spec = VolumeSpec(
    id: VolumeID("0d8a1a3e-5a2f-4b0e-9f57-6d2d0f3c9a11")!, name: "db", sizeBytes: 1 << 30, replicaCount: 2,
    createdAt: Date(timeIntervalSince1970: 1_790_000_000.7))

  @Test func writesReadableVersionedJSON() {
    let text = String(decoding: spec.encoded(), as: UTF8.self)
    #expect(
      text == """
        {"blockSizeBytes":512,"createdAt":"2026-09-21T14:13:20Z","deleting":false,"id":"0d8a1a3e-5a2f-4b0e-9f57-6d2d0f3c9a11",\
        "name":"db","replicaCount":2,"sizeBytes":1073741824,"v":1}
        """)
  }

  @Test func everyKindSurvivesARoundTrip() throws {
    func check<Object: StoredObject>(_ object: Object) throws {
      let stored = try Stored<Object>(entry(String(decoding: object.encoded(), as: UTF8.self)))
      #expect(stored.object == object)
      #expect(stored.encoded() == object.encoded())
      #expect(stored.modRevision == 7)
    }
    let (volume, replica) = (VolumeID(), ReplicaID())
    let now = Date()
    try check(spec)
    try check(
      ReplicaAssignment(
        id: replica, volumeID: volume, volumeName: "db", sizeBytes: 1 << 46, blockSizeBytes: 4096, pool: "p", nexusNode: "n"))
    try check(
      NexusAssignment(
        volumeID: volume, volumeName: "db", sizeBytes: 1 << 20, blockSizeBytes: 512, replicas: [.init(id: replica, node: "n", pool: "p")]))
    try check(
      InSyncRecord(
        generation: .max, setVersion: 3, nexusNode: "n", nexusIncarnation: "i", members: [replica],
        out: [.init(id: ReplicaID(), reason: "io", atGeneration: 2)]))
    try check(
      NodeStatus(
        name: "n", pid: 7, incarnation: "i", addresses: [.init(adrfam: "ipv6", traddr: "::1", trsvcid: "4420")], ioEngine: "libaio",
        state: .ready, startedAt: now))
    try check(
      PoolStatus(
        name: "p", uuid: "u", kind: .memory, path: "mem:", sizeBytes: 2, freeBytes: 1, promisedBytes: 3, clusterBytes: 1, state: .faulted,
        message: "m"))
    try check(
      PoolStatus(
        name: "p", uuid: "u", kind: .block, path: "/dev/disk/by-id/x", sizeBytes: 2, freeBytes: 1, promisedBytes: 9, clusterBytes: 1,
        state: .ready,
        contents: .init(
          overcommitPercent: 150, regionBytes: 4, maximumHotRegions: 5, replicaCount: 1, snapshotCount: 0,
          items: [.init(id: "i", volumeID: "v", isSnapshot: true, sizeBytes: 3, ownBytes: 2, sharedBytes: 1)]),
        errors: .init(reads: 1, writes: 2, last: "l")))
    try check(ReplicaStatus(id: replica, volumeID: volume, pool: "p", state: .ready))
    try check(
      NexusStatus(
        volumeID: volume, state: .degraded, generation: 4,
        replicas: [.init(id: replica, node: "n", state: .unreachable, reason: "timeout")]))
    try check(
      NexusStatus(
        volumeID: volume, state: .rebuilding, generation: 4, replicas: [.init(id: replica, node: "n", state: .syncing)],
        rebuilds: [
          RebuildStatus(
            replica: replica, node: "n", kind: .compared, state: .failed, cause: "c", failure: "f", bytesToDo: 4, bytesDone: 3,
            bytesRead: 2, bytesSent: 1, bytesPerSecond: 9, startedAt: now, endedAt: now)
        ]))
    try check(VolumeNote(state: .pending, message: "full"))
    try check(LeaderRecord(holder: "n/1"))
  }

  @Test func thickIsKeptAndItsAbsenceMeansThin() throws {
    #expect(!spec.isThick && !String(decoding: spec.encoded(), as: UTF8.self).contains("thick"))
    let thick = VolumeSpec(name: "db", sizeBytes: 1 << 30, replicaCount: 2, isThick: true, createdAt: Date())
    #expect(try Stored<VolumeSpec>(entry(String(decoding: thick.encoded(), as: UTF8.self))).object.isThick)
    let assignment = ReplicaAssignment(
      id: ReplicaID(), volumeID: VolumeID(), volumeName: "db", sizeBytes: 1 << 30, blockSizeBytes: 512, isThick: true, pool: "p",
      nexusNode: "n")
    #expect(try Stored<ReplicaAssignment>(entry(String(decoding: assignment.encoded(), as: UTF8.self))).object.isThick)
  }

  @Test func aPoolMayPromiseItsPercentage() {
    func limit(_ percent: UInt32, _ size: UInt64) -> UInt64? {
      PoolStatus(
        name: "p", uuid: "u", kind: .file, path: "/p", sizeBytes: size, freeBytes: 0, promisedBytes: 0, clusterBytes: 1, state: .ready,
        contents: .init(overcommitPercent: percent, regionBytes: 1, maximumHotRegions: 1, replicaCount: 0, snapshotCount: 0, items: [])
      ).promiseLimitBytes
    }
    #expect(limit(150, 1000) == 1500 && limit(0, 1000) == .max && limit(1_000_000, .max / 2) == .max)
    let silent = PoolStatus(
      name: "p", uuid: "u", kind: .file, path: "/p", sizeBytes: 9, freeBytes: 0, promisedBytes: 0, clusterBytes: 1, state: .ready)
    #expect(silent.promiseLimitBytes == nil)
  }

  @Test func unknownFieldsSurvive() throws {
    let json = """
      {"v":1,"volumeID":"0D8A1A3E-5A2F-4B0E-9F57-6D2D0F3C9A11","volumeName":"db","sizeBytes":1048576,"blockSizeBytes":512,"deleting":false,
       "future":{"deep":[1,18446744073709551615,1.5,null,true]},"replicas":[
       {"id":"1D8A1A3E-5A2F-4B0E-9F57-6D2D0F3C9A11","node":"a","pool":"p","weight":3},
       {"id":"2d8a1a3e-5a2f-4b0e-9f57-6d2d0f3c9a11","node":"b","pool":"p","weight":4}]}
      """
    var stored = try Stored<NexusAssignment>(entry(json))
    stored.object.deleting = true
    stored.object.replicas.removeFirst()
    stored.object.replicas.append(.init(id: ReplicaID("3d8a1a3e-5a2f-4b0e-9f57-6d2d0f3c9a11")!, node: "c", pool: "p"))
    #expect(
      String(decoding: stored.encoded(), as: UTF8.self) == """
        {"blockSizeBytes":512,"deleting":true,"future":{"deep":[1,18446744073709551615,1.5,null,true]},"replicas":[\
        {"id":"2d8a1a3e-5a2f-4b0e-9f57-6d2d0f3c9a11","node":"b","pool":"p","weight":4},\
        {"id":"3d8a1a3e-5a2f-4b0e-9f57-6d2d0f3c9a11","node":"c","pool":"p"}],"sizeBytes":1048576,"v":1,\
        "volumeID":"0d8a1a3e-5a2f-4b0e-9f57-6d2d0f3c9a11","volumeName":"db"}
        """)
  }

  @Test func aKnownFieldThatIsTakenAwayDoesNotComeBack() throws {
    var stored = try Stored<ReplicaStatus>(
      entry(
        String(
          decoding: ReplicaStatus(id: ReplicaID(), volumeID: VolumeID(), pool: "p", state: .faulted, message: "disk").encoded(),
          as: UTF8.self)))
    stored.object.message = nil
    #expect(!String(decoding: stored.encoded(), as: UTF8.self).contains("message"))
  }

  @Test func hostileBytesAreRefused() throws {
    let good = String(decoding: spec.encoded(), as: UTF8.self)
    let bad = [
      "", "null", "[]", "7", "{", "{}", #"{"v":"1"}"#, #"{"v":0}"#, #"{"v":1}"#, "\u{FF}\u{0}", String(repeating: "[", count: 100_000),
      good.replacingOccurrences(of: #""sizeBytes":1073741824"#, with: #""sizeBytes":-1"#),
      good.replacingOccurrences(of: #""replicaCount":2"#, with: #""replicaCount":1e300"#),
      good.replacingOccurrences(of: "0d8a1a3e-", with: "zzz"),
      good.replacingOccurrences(of: "2026-09-21T14:13:20Z", with: "yesterday"),
    ]
    for text in bad { #expect(throws: ObjectError.self, "\(text.prefix(60))") { try Stored<VolumeSpec>(entry(text)) } }
    for count in 0..<good.utf8.count {
      #expect(throws: ObjectError.self) { try Stored<VolumeSpec>(entry(String(good.prefix(count)))) }
    }
    #expect(throws: ObjectError.newerVersion(key: "k", kind: "volume spec", found: 2, known: 1)) {
      try Stored<VolumeSpec>(entry(good.replacingOccurrences(of: #""v":1"#, with: #""v":2"#)))
    }
  }

  @Test func missingFieldsAreNamed() throws {
    #expect(throws: ObjectError.malformed(key: "k", kind: "leader record", reason: "field holder is missing")) {
      try Stored<LeaderRecord>(entry(#"{"v":1}"#))
    }
  }

  @Test func `nodes are named as Kubernetes names them`() throws {
    let longest = String(repeating: "x.", count: 126) + "y"
    #expect(longest.utf8.count == 253)
    for name in ["a", "0", "node-1", "talos-1.example.com", "10.0.0.1", String(repeating: "x", count: 253), longest] {
      try Names.validate(node: name)
      // Everything that is made of it fits where it goes.
      try StoreLimits.validate(key: Keys.replicaStatus(node: name, ReplicaID()))
      try StoreLimits.validate(key: Keys.poolSpec(node: name, String(repeating: "p", count: 63)))
      let event = Event(
        .pool, "\(name).pool", "DeviceError", "", isWarning: true, source: name, firstAt: Date(timeIntervalSince1970: 0),
        lastAt: Date(timeIntervalSince1970: 0))
      try StoreLimits.validate(key: event.key)
      #expect(QualifiedName(NQN.node(name)) != nil && NQN.node(name).utf8.count <= 223)
    }
    let refused = [
      "", ".", "a.", ".a", "a..b", "-a", "a-", "a.-b", "a-.b", "A", "a_b", "a b", "a/b", "é", "a\n", longest + ".z",
      String(repeating: "x", count: 254),
    ]
    for name in refused { #expect(throws: ObjectError.self, "\(name)") { try Names.validate(node: name) } }
    #expect(NQN.node("node-1") == "nqn.2026-11.io.keelson:node:node-1")
    let (first, second) = (String(repeating: "x", count: 252) + "1", String(repeating: "x", count: 252) + "2")
    #expect(NQN.node(first) != NQN.node(second), "told apart although both are cut")
  }

  @Test func namesAreLabels() throws {
    for name in ["a", "0", "db-1", String(repeating: "x", count: 63)] { try Names.validate(name, kind: "volume name") }
    for name in ["", "-a", "a-", "A", "a.b", "a/b", "a b", "ü", String(repeating: "x", count: 64)] {
      #expect(throws: ObjectError.self, "\(name)") { try Names.validate(name, kind: "volume name") }
    }
    #expect {
      try Names.validate("Db", kind: "volume name")
    } throws: {
      "\($0)" == "volume name \"Db\" is not valid: only lower-case letters a-z, digits and hyphens are allowed"
    }
  }

  @Test func specsAreValidated() throws {
    func isValid(_ change: (inout VolumeSpec) -> Void) -> Bool {
      var changed = spec
      change(&changed)
      do {
        try changed.validate()
        return true
      } catch {
        return false
      }
    }
    #expect(isValid { _ in })
    #expect(isValid { $0.sizeBytes = 1 << 20 })
    #expect(isValid { $0.sizeBytes = 64 << 40 })
    #expect(isValid { $0.blockSizeBytes = 4096 })
    #expect(isValid { $0.minInSync = 2 })
    #expect(!isValid { $0.sizeBytes = 0 })
    #expect(!isValid { $0.sizeBytes = (1 << 20) - 1 })
    #expect(!isValid { $0.sizeBytes = (1 << 20) + 512 })
    #expect(!isValid { $0.sizeBytes = (64 << 40) + (1 << 20) })
    #expect(!isValid { $0.blockSizeBytes = 1024 })
    #expect(!isValid { $0.replicaCount = 0 })
    #expect(!isValid { $0.replicaCount = 4 })
    #expect(!isValid { $0.minInSync = 3 })
    #expect(!isValid { $0.minInSync = 0 })
    #expect(!isValid { $0.name = "a/b" })
    #expect(spec.effectiveMinInSync == 1)
  }

  @Test func namesOfTheWire() {
    let id = "0d8a1a3e-5a2f-4b0e-9f57-6d2d0f3c9a11"
    #expect(NQN.volume(VolumeID(id)!) == "nqn.2026-11.io.keelson:volume:\(id)")
    #expect(NQN.replica(ReplicaID(id)!) == "nqn.2026-11.io.keelson:replica:\(id)")
    #expect(NQN.nexus(VolumeID(id.uppercased())!) == "nqn.2026-11.io.keelson:nexus:\(id)")
    #expect(VolumeID("no") == nil)
    #expect(ByteText.of(0) == "0 B")
    #expect(ByteText.of(12 << 20) == "12 MiB")
    #expect(ByteText.of(3 << 29) == "1.5 GiB")
    #expect(ByteText.of(.max) == "15.9 EiB" || ByteText.of(.max) == "16 EiB")
  }
}
