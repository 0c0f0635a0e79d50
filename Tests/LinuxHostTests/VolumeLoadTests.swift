import Testing

/// Many volumes at once through CSI, by gRPC's own client, with real nodes.
@Suite(.serialized, .timeLimit(.minutes(30))) struct VolumeLoadTests {
  @Test func `forty volumes at once are made, attached, listed and deleted without error`() async throws {
    let result = try await Script.run("deploy/csi-load.sh", ["40"], limitSeconds: 500)
    try #require(result.status == 0, "\(result.output)")
    print(result.output)
  }

  @Test func `the same while controllers are killed, on etcd, and nothing is left`() async throws {
    let result = try await Script.run("deploy/csi-load.sh", ["20", "etcd", "kills"], limitSeconds: 900)
    try #require(result.status == 0, "\(result.output)")
    print(result.output)
  }
}
