import Control
import GRPC
import Testing

@testable import CSI

@Suite struct NameTests {
  @Test func `SHA-256 of FIPS 180-4's examples`() {
    #expect(SHA256.hexadecimal(of: "") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(SHA256.hexadecimal(of: "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(
      SHA256.hexadecimal(of: "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")
        == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
  }

  @Test func `names of CSI become names of the store`() throws {
    #expect(try ObjectNames.name(for: "pvc-1234") == "pvc-1234")
    let odd = try ObjectNames.name(for: "Größe / 1")
    #expect(odd.hasPrefix("csi-"))
    #expect(odd.utf8.count == 44)
    // Nobody can take another's name by spelling it out.
    #expect(try ObjectNames.name(for: odd) != odd)
    #expect(throws: GRPCError.self) { try ObjectNames.name(for: "a\nb") }
  }

  @Test func `nodes`() throws {
    let node = try #require(NodeIdentity("worker-1.example@AAAAAAAA-0000-4000-8000-000000000001"))
    #expect(node.hostNQN == "nqn.2014-08.org.nvmexpress:uuid:aaaaaaaa-0000-4000-8000-000000000001")
    #expect(NodeIdentity.hostID(ofNQN: node.hostNQN) == node.hostID)
    let longest = try #require(NodeIdentity("\(String(repeating: "x", count: NodeIdentity.maximumNameBytes))@\(node.hostID)"))
    #expect("\(longest)".utf8.count <= 256)
    #expect(NodeIdentity(name: longest.name + "x", hostID: node.hostID) == nil)
    for text in ["", "worker", "worker@", "@aaaaaaaa-0000-4000-8000-000000000001", "Worker@aaaaaaaa-0000-4000-8000-000000000001"] {
      #expect(NodeIdentity(text) == nil)
    }
  }

  @Test func `publish contexts come back as they were`() throws {
    let volume = VolumeID()
    var context = PublishContext(
      volume: volume, paths: [.init(traddr: "fd00::1", trsvcid: "4420"), .init(traddr: "10.0.0.1", trsvcid: "1")])
    context.isReadOnly = true
    context.keepAliveSeconds = 7
    #expect(try PublishContext(context.fields, of: volume) == context)
    #expect(throws: PublishContext.Malformed.self) { try PublishContext(context.fields, of: VolumeID()) }
    var fields = context.fields
    fields["path1"] = "10.0.0.1,nqn=x:1"
    #expect(throws: PublishContext.Malformed.self) { try PublishContext(fields, of: volume) }
  }

  @Test func `host identifiers of a machine`() {
    #expect(HostIdentifier.find(given: "AAAAAAAA-0000-4000-8000-000000000001") == "aaaaaaaa-0000-4000-8000-000000000001")
    #expect(HostIdentifier.find(given: "nonsense") == nil)
    #expect(HostIdentifier.find(given: nil, root: "/no/such/folder") == nil)
  }
}
