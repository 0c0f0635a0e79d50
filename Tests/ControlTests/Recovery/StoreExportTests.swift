import Foundation
import Testing

@testable import Control

@Suite struct StoreExportTests {
  private func store() throws -> SQLiteStore { try SQLiteStore(path: TemporaryDirectory().path + "/state.db") }

  /// 300 volumes with a field that this version does not know, a status, an event and a lease.
  private func filled() throws -> SQLiteStore {
    let store = try store()
    for number in 0..<300 {
      let spec = VolumeSpec(name: "v\(number)", sizeBytes: 1 << 30, replicaCount: 1, createdAt: Date(timeIntervalSince1970: 0))
      let text = String(decoding: spec.encoded(), as: UTF8.self).dropLast() + #","later":{"a":[1,2.5,"x"]}}"#
      try store.put(Keys.volumeSpec(name: spec.name), String(text))
    }
    try store.put(Keys.poolStatus(node: "a", "p"), #"{"v":1}"#)
    try store.put(Keys.events + "a/volume/v/X", #"{"v":1}"#)
    let lease = try store.grantLease(ttlSeconds: 100)
    try store.put(Keys.nodeStatus("a"), #"{"v":1}"#, lease: lease.id)
    return store
  }

  @Test func `everything goes over, unknown fields too, and what belongs to a process does not`() throws {
    let first = try filled()
    let data = try StoreExport.document(of: first)
    let text = String(decoding: data, as: UTF8.self)
    #expect(!text.contains("event/") && !text.contains(Keys.nodeStatus("a")) && text.contains(Keys.poolStatus(node: "a", "p")))
    let second = try store()
    #expect(try StoreExport.write(data, to: second, mayReplace: false) == 300)
    func trees(_ store: any StateStore, _ prefix: String) throws -> [JSONValue] {
      try store.listAll(prefix: prefix).entries.map { try JSONForm.decoder().decode(JSONValue.self, from: $0.value) }
    }
    #expect(try trees(second, "") == trees(first, "spec/"))
    #expect(try second.text(Keys.volumeSpec(name: "v7"))?.contains(#""later":{"a":[1,2.5,"x"]}"#) == true)
    // 300 entries in three transactions.
    #expect(try second.listAll(prefix: "").revision <= 3)
    #expect(throws: StoreExport.Failure.storeNotEmpty(count: 300)) { try StoreExport.write(data, to: second, mayReplace: false) }
    #expect(try StoreExport.write(data, to: second, mayReplace: true) == 300)
    #expect(try StoreExport.volumeNames(in: data).count == 300)
  }

  /// B was in sync when the document was made; A has acknowledged writes without it since.
  @Test func `who is in sync now is not replaced by who was`() throws {
    let store = try store()
    let volume = VolumeID(uuid: UUID())
    let (a, b) = (ReplicaID(uuid: UUID()), ReplicaID(uuid: UUID()))
    var record = InSyncRecord(generation: 5, setVersion: 1, nexusNode: "a", nexusIncarnation: "i", members: [a, b])
    let nexus = NexusAssignment(
      volumeID: volume, volumeName: "db", sizeBytes: 1 << 30, blockSizeBytes: 512, minInSync: 1,
      replicas: [.init(id: a, node: "a", pool: "p"), .init(id: b, node: "b", pool: "p")])
    try store.put(Keys.inSync(volume), String(decoding: record.encoded(), as: UTF8.self))
    try store.put(Keys.nexusAssignment(node: "a", volume), String(decoding: nexus.encoded(), as: UTF8.self))
    let old = try StoreExport.document(of: store)
    (record.members, record.setVersion) = ([a], 2)
    try store.put(Keys.inSync(volume), String(decoding: record.encoded(), as: UTF8.self))
    let new = try StoreExport.document(of: store)
    #expect(try StoreExport.write(old, to: store, mayReplace: true) == 0)
    #expect(try store.object(InSyncRecord.self, at: Keys.inSync(volume))?.object.members == [a])
    // A store that was restored from before takes the later document.
    let restored = try self.store()
    #expect(try StoreExport.write(old, to: restored, mayReplace: false) == 2)
    #expect(try StoreExport.write(new, to: restored, mayReplace: true) == 2)
    #expect(try restored.object(InSyncRecord.self, at: Keys.inSync(volume))?.object.members == [a])
  }

  @Test func `what is no export is refused, and nothing is written`() throws {
    let store = try store()
    func refusal(_ text: String) -> Bool {
      do {
        try StoreExport.write(Data(text.utf8), to: store, mayReplace: true)
        return false
      } catch StoreExport.Failure.notAnExport { return true } catch { return false }
    }
    func document(_ entries: String, version: Int = 1) -> String {
      #"{"keelsonExport":\#(version),"identity":"i","revision":1,"entries":[\#(entries)]}"#
    }
    #expect(refusal("") && refusal("[]") && refusal("{}") && refusal(document("", version: 2)))
    #expect(refusal(document(#"{"key":"lease/controller","value":{"v":1}}"#)))
    #expect(refusal(document(#"{"key":"spec/a b","value":{"v":1}}"#)))
    #expect(refusal(document(#"{"key":"spec/volume/a","value":{}}"#)))
    #expect(refusal(document(#"{"key":"spec/volume/a","value":{"v":1}},{"key":"spec/volume/a","value":{"v":1}}"#)))
    #expect(try store.listAll(prefix: "").entries.isEmpty)
    #expect(!refusal(document(#"{"key":"spec/volume/a","value":{"v":1}}"#)))
  }

  @Test func `objects are put together from their keys`() throws {
    let state = try SampleVolume().healthy()
    let volumes = ObjectListing.objects(.volume, in: state.snapshot)
    #expect(volumes.map(\.name) == ["db"])
    #expect(Set(volumes[0].parts.map(\.name)) == ["spec", "assignment", "in_sync", "status"])
    #expect(ObjectListing.objects(.node, in: state.snapshot).map(\.name) == ["node-1", "node-2"])
    #expect(ObjectListing.objects(.pool, in: state.snapshot).map(\.name) == ["node-1/default", "node-2/default"])
    #expect(ObjectListing.objects(.replica, in: state.snapshot).count == 2)
    #expect(ObjectListing.objects(.event, in: try filled().listAll(prefix: "").entries).map(\.name) == ["a/volume/v/X"])
  }
}
