import Testing

/// What installs Keelson on Kubernetes, rendered and looked at.
@Suite(.timeLimit(.minutes(10))) struct ManifestTests {
  @Test func `every overlay renders, fits Kubernetes' schemas and grants no more than it must`() async throws {
    let result = try await Script.run("deploy/kubernetes/check.sh", limitSeconds: 500)
    try #require(result.status == 0, "\(result.output)")
    #expect(result.output.split(separator: "\n").filter { $0.hasSuffix("objects are right") }.count == 3, "\(result.output)")
    #expect(result.output.contains("the certificates are right"), "\(result.output)")
  }

  @Test func `the image's packages have every library and program that the binary needs`() async throws {
    let result = try await Script.run("deploy/image-check.sh", limitSeconds: 200)
    #expect(result.status == 0, "\(result.output)")
  }
}
