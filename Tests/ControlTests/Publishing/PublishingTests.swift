import Foundation
import Testing

@testable import Control

@Suite struct PublishingTests {
  private let first = Publication(hostNQN: "nqn.2014-08.org.example:first", nodeName: "worker-1")
  private let second = Publication(hostNQN: "nqn.2014-08.org.example:second", nodeName: "worker-2")

  private func withStore(_ body: (SQLiteStore) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("keelson-publish-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let store = try SQLiteStore(path: folder + "/state.db")
    defer { store.close() }
    try VolumeRequests.create(VolumeSpec(name: "db", sizeBytes: 1 << 20, replicaCount: 1, createdAt: Date()), in: store)
    try body(store)
  }

  private func publications(_ store: SQLiteStore) throws -> [Publication]? {
    try store.object(VolumeSpec.self, at: Keys.volumeSpec(name: "db"))?.object.publications
  }

  @Test func `the only writer gives way or is respected`() throws {
    try withStore { store in
      #expect(try publications(store) == nil)
      try VolumeRequests.publish(name: "db", first, in: store)
      try VolumeRequests.publish(name: "db", first, onConflict: .refuse, in: store)
      #expect(try publications(store) == [first])
      #expect(
        throws: VolumeRequests.PublishingFailure.publishedElsewhere(name: "db", hostNQN: first.hostNQN, nodeName: "worker-1")
      ) { try VolumeRequests.publish(name: "db", second, onConflict: .refuse, in: store) }
      var twin = first
      twin.nodeName = "worker-2"
      #expect(
        throws: VolumeRequests.PublishingFailure.sharedIdentity(name: "db", hostNQN: first.hostNQN, nodeNames: ["worker-1", "worker-2"])
      ) { try VolumeRequests.publish(name: "db", twin, onConflict: .refuse, in: store) }
      var shared = second
      shared.mode = .multiWriter
      #expect(throws: VolumeRequests.PublishingFailure.self) {
        try VolumeRequests.publish(name: "db", shared, onConflict: .refuse, in: store)
      }
      try VolumeRequests.publish(name: "db", second, onConflict: .fence, in: store)
      #expect(try publications(store) == [second])
    }
  }

  @Test func `several hosts share a volume, and one that has it otherwise is told`() throws {
    try withStore { store in
      let shared = [first, second].map { Publication(hostNQN: $0.hostNQN, readOnly: false, mode: .multiWriter) }
      for publication in shared { try VolumeRequests.publish(name: "db", publication, onConflict: .refuse, in: store) }
      #expect(try publications(store) == shared)
      var reader = shared[0]
      reader.readOnly = true
      #expect(throws: VolumeRequests.PublishingFailure.incompatible(name: "db", existing: shared[0])) {
        try VolumeRequests.publish(name: "db", reader, onConflict: .refuse, in: store)
      }
      try VolumeRequests.publish(name: "db", reader, in: store)
      #expect(try publications(store) == [shared[1], reader])
      try VolumeRequests.unpublish(name: "db", hostNQN: first.hostNQN, in: store)
      #expect(try publications(store) == [shared[1]])
      try VolumeRequests.unpublish(name: "db", hostNQN: first.hostNQN, in: store)
      try VolumeRequests.unpublish(name: "db", hostNQN: nil, in: store)
      #expect(try publications(store) == [], "closed, not open again")
    }
  }

  @Test func `what cannot be a host's name is refused`() throws {
    try withStore { store in
      for name in ["", "host", "nqn.2014-08.org.nvmexpress.discovery", String(repeating: "n", count: 300)] {
        #expect(throws: ObjectError.self) { try VolumeRequests.publish(name: "db", Publication(hostNQN: name), in: store) }
      }
      #expect(throws: VolumeRequests.Failure.notFound(name: "no")) { try VolumeRequests.publish(name: "no", first, in: store) }
    }
  }

  // MARK: In force

  /// The sample volume, served by node-1, with a path through node-2; what they say of hosts.
  private func cluster(
    _ publications: [Publication]?, nexus: [Publication]?, path: [Publication]?, generation: UInt64 = 1
  ) throws -> (VolumeSpec, ClusterState) {
    let volume = SampleVolume()
    var store = try volume.healthy()
    var spec = volume.spec
    spec.publications = publications
    try store.put(Keys.volumeSpec(name: "db"), spec)
    try store.put(
      Keys.pathAssignment(node: "node-2", spec.id),
      PathAssignment(volumeID: spec.id, volumeName: "db", sizeBytes: spec.sizeBytes, blockSizeBytes: 512, pool: "default"))
    var status = try #require(store.state.nexusStatus(node: "node-1", spec.id))
    status.hosts = nexus
    status.generation = generation
    try store.put(Keys.nexusStatus(node: "node-1", spec.id), status)
    try store.put(Keys.pathStatus(node: "node-2", spec.id), PathStatus(volumeID: spec.id, hosts: path))
    return (spec, store.state)
  }

  @Test func `a publication is in force when all paths say so and the nexus is the one of the record`() throws {
    func trouble(_ nexus: [Publication]?, _ path: [Publication]?, generation: UInt64 = 1) throws -> String? {
      let (spec, state) = try cluster([first], nexus: nexus, path: path, generation: generation)
      return PublicationProgress(spec, in: state).publishing(first)
    }
    #expect(try trouble([first], [first]) == nil)
    #expect(try trouble([], [first]) == "its nexus on node-1")
    #expect(try trouble([second], [first]) == "its nexus on node-1", "the other host is still in")
    #expect(try trouble([first], nil) == "the path through node-2")
    #expect(try trouble([first], [first], generation: 7) == "its nexus on node-1", "an older nexus's word")
  }

  @Test func `a host is out when no path has it, whatever others were published meanwhile`() throws {
    func trouble(_ wanted: [Publication], _ nexus: [Publication]?, _ path: [Publication]?, generation: UInt64 = 1) throws -> String? {
      let (spec, state) = try cluster(wanted, nexus: nexus, path: path, generation: generation)
      return PublicationProgress(spec, in: state).withholding(from: first.hostNQN)
    }
    #expect(try trouble([], [], []) == nil)
    #expect(try trouble([second], [], []) == nil)
    #expect(try trouble([], [first], []) == "its nexus on node-1 to end the host's connections")
    #expect(try trouble([], nil, []) != nil, "open to any host")
    #expect(try trouble([], [], [first]) == "the path through node-2 to end the host's connections")
    #expect(try trouble([], [], [], generation: 0) != nil, "said by a nexus that is not the last one")
  }

  @Test func `the publish context names what a host needs`() throws {
    let (spec, state) = try cluster([first], nexus: [first], path: [first])
    let published = PublishedVolume(spec, first, paths: PublicationProgress(spec, in: state).paths)
    #expect(
      published.context == [
        "subnqn": "nqn.2026-11.io.keelson:volume:0d8a1a3e-5a2f-4b0e-9f57-6d2d0f3c9a11", "nguid": "0d8a1a3e5a2f4b0e9f576d2d0f3c9a11",
        "path0": "127.0.0.1:4420", "path1": "127.0.0.1:4421",
      ])
  }
}
