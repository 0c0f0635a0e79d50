import Control
import Foundation
import GRPC
import Testing

@testable import CSI

/// gRPC's own client (PyPI grpcio) and Google's protobuf against every call of the services, on real unix sockets.
@Suite(.timeLimit(.minutes(5))) struct PythonClientTests {
  private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path

  @Test func `grpcio speaks with Identity, Controller and Node`() async throws {
    let python = try await Self.output("/bin/bash", [Self.root + "/deploy/grpcio.sh"]).trimmingCharacters(in: .whitespacesAndNewlines)
    let cluster = try FakeCluster()
    defer { cluster.stop() }
    let system = FakeSystem()
    let node = NodeService(NodeService.Options(identity: FakeCluster.node), system: system, log: { _ in })
    let controllerServer = try CSIServer(handlers: cluster.service.handlers, version: "1.2.3") { true }
    let nodeServer = try CSIServer(handlers: node.handlers, version: "1.2.3") { true }
    let controllerPath = cluster.folder + "/controller/csi.sock"
    let nodePath = cluster.folder + "/node/csi.sock"
    try controllerServer.listen(on: CSIEndpoint(unix: "unix://" + controllerPath))
    try nodeServer.listen(on: CSIEndpoint(unix: "unix://" + nodePath), mode: 0o660)
    #expect(try Self.mode(controllerPath) == 0o600)
    #expect(try Self.mode(nodePath) == 0o660)
    let text = try await Self.output(python, ["-c", Self.script, Self.root + "/deploy", controllerPath, nodePath])
    #expect(text.hasSuffix("all is well\n"), "\(text)")
    await controllerServer.shutDown(graceNanoseconds: 1_000_000_000)
    await nodeServer.shutDown(graceNanoseconds: 1_000_000_000)
    #expect(!FileManager.default.fileExists(atPath: controllerPath))
  }

  @Test func `a socket that outlived its listener is replaced, one in use is not`() async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "keelson-socket-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let endpoint = try CSIEndpoint(unix: folder + "/csi/csi.sock")
    func server() throws -> CSIServer { try CSIServer(handlers: [:], version: "1") { true } }
    let first = try server()
    try first.listen(on: endpoint)
    let second = try server()
    #expect(throws: GRPCError.self) { try second.listen(on: endpoint) }
    // What a killed process leaves behind.
    try FileManager.default.moveItem(atPath: folder + "/csi/csi.sock", toPath: folder + "/csi/left")
    await first.shutDown(graceNanoseconds: 0)
    try FileManager.default.moveItem(atPath: folder + "/csi/left", toPath: folder + "/csi/csi.sock")
    try second.listen(on: endpoint)
    await second.shutDown(graceNanoseconds: 0)
  }

  private static func mode(_ path: String) throws -> Int? {
    try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
  }

  private static func output(_ executable: String, _ arguments: [String]) async throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: executable)
    process.arguments = arguments
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let reader = Task.detached { String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self) }
    let text = await reader.value
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(text)")
    return text
  }

  private static let script = """
    import sys, grpc
    sys.path.insert(0, sys.argv[1])
    from csi_client import Client
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    controller, node = Client("unix:" + sys.argv[2]), Client("unix:" + sys.argv[3])
    mount = {"mount": {"fs_type": "ext4"}, "access_mode": {"mode": 1}}

    for client in (controller, node):
        assert client.GetPluginInfo() == {"name": "csi.keelson.io", "vendor_version": "1.2.3"}
        types = [c.get("service", {}).get("type") or c["volume_expansion"] for c in client.GetPluginCapabilities()["capabilities"]]
        assert types == [1, 2, {"type": 1}], types
        assert client.Probe() == {"ready": {"value": True}}
        health = health_pb2_grpc.HealthStub(client.channel)
        assert health.Check(health_pb2.HealthCheckRequest(service=""), timeout=60).status == health_pb2.HealthCheckResponse.SERVING
    assert controller.status("NodeGetInfo") == "UNIMPLEMENTED"
    assert node.status("ListVolumes") == "UNIMPLEMENTED"
    assert len(controller.ControllerGetCapabilities()["capabilities"]) > 5
    assert len(node.NodeGetCapabilities()["capabilities"]) == 5
    info = node.NodeGetInfo()
    assert info["node_id"] == "worker-1@aaaaaaaa-0000-4000-8000-000000000001", info

    volume = controller.CreateVolume(name="größe 100%", capacity_range={"required_bytes": 1000000}, volume_capabilities=[mount])["volume"]
    assert volume["capacity_bytes"] == "1048576", volume
    identity = volume["volume_id"]
    confirmed = controller.ValidateVolumeCapabilities(volume_id=identity, volume_capabilities=[mount])
    assert confirmed["confirmed"]["volume_capabilities"] == [mount], confirmed
    context = controller.ControllerPublishVolume(volume_id=identity, node_id=info["node_id"], volume_capability=mount)["publish_context"]
    assert context["nguid"] == identity.replace("-", "") and "path0" in context, context
    entries = controller.ListVolumes(max_entries=5)["entries"]
    assert [e["volume"]["volume_id"] for e in entries] == [identity]
    assert entries[0]["status"]["published_node_ids"] == [info["node_id"]]
    assert controller.ControllerGetVolume(volume_id=identity)["status"]["published_node_ids"] == [info["node_id"]]
    assert int(controller.GetCapacity()["available_capacity"]) > 0

    stage = dict(volume_id=identity, staging_target_path="/staging", volume_capability=mount)
    assert node.status("NodeStageVolume", **stage) == "INVALID_ARGUMENT"
    # The made-up machine has no such disk: the volume's device never appears.
    assert node.status("NodeStageVolume", publish_context=context, **stage) == "UNAVAILABLE"
    publish = dict(volume_id=identity, staging_target_path="/staging", target_path="/target", volume_capability=mount)
    assert node.status("NodePublishVolume", **publish) == "FAILED_PRECONDITION"
    assert node.status("NodeGetVolumeStats", volume_id=identity, volume_path="/target") == "NOT_FOUND"
    assert node.status("NodeExpandVolume", volume_id=identity, volume_path="/target") == "NOT_FOUND"
    assert node.NodeUnpublishVolume(volume_id=identity, target_path="/target") == {}
    assert node.NodeUnstageVolume(volume_id=identity, staging_target_path="/staging") == {}
    assert node.status("NodeStageVolume") == "INVALID_ARGUMENT"

    assert controller.status("DeleteVolume", volume_id=identity) == "FAILED_PRECONDITION"
    assert controller.ControllerUnpublishVolume(volume_id=identity, node_id=info["node_id"]) == {}
    try:
        controller.CreateVolume(name="x", volume_capabilities=[mount], parameters={"größe": "1"})
        raise AssertionError("an unknown parameter was taken")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT and "größe" in error.details(), error.details()

    # Many at once, and Probe answers meanwhile.
    calls = [controller.call("CreateVolume", dict(name=f"many-{n}", volume_capabilities=[mount]), future=True) for n in range(40)]
    assert controller.Probe() == {"ready": {"value": True}}
    made = [Client.plain(call.result())["volume"]["volume_id"] for call in calls]
    assert len(set(made)) == 40
    for call in [controller.call("DeleteVolume", dict(volume_id=v), future=True) for v in made + [identity]]:
        call.result()
    assert controller.ListVolumes() == {}
    print("all is well")
    """
}
