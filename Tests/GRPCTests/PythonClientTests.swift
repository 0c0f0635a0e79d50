import Foundation
import Testing

@testable import GRPC

/// gRPC's own client (PyPI grpcio) against our server.
@Suite struct PythonClientTests {
  @Test func `grpcio and our server understand each other`() async throws {
    let python = try await Self.python()
    let server = try TestServer()
    let path = server.path
    let text = try await onThread { try Self.output(python, ["-c", Self.script, path]) }
    #expect(text.hasSuffix("all is well\n"), "\(text)")
    #expect(try await eventually { server.hanging.withLock { $0.cancelled } == 2 })
    await server.server.shutDown(graceNanoseconds: secondNanoseconds)
  }

  /// Pings both ways, on a connection that is idle and on one with a call that hangs: neither side takes the other for lost, or for a nuisance.
  @Test func `grpcio's keep-alive and ours bear each other`() async throws {
    let python = try await Self.python()
    var options = GRPCServer.Options()
    options.keepAliveNanoseconds = 300_000_000
    options.keepAliveTimeoutNanoseconds = 60 * secondNanoseconds
    let server = try TestServer(options)
    let path = server.path
    let text = try await onThread { try Self.output(python, ["-c", Self.keepAliveScript, path]) }
    #expect(text.hasSuffix("all is well\n"), "\(text)")
    await server.server.shutDown(graceNanoseconds: secondNanoseconds)
  }

  /// One that is killed closes its connection; one that stands still says nothing at all.
  @Test(arguments: [SIGKILL, SIGSTOP]) func `calls of clients that vanish end`(_ signal: Int32) async throws {
    let python = try await Self.python()
    var options = GRPCServer.Options()
    options.keepAliveNanoseconds = secondNanoseconds
    options.keepAliveTimeoutNanoseconds = 4 * secondNanoseconds
    let server = try TestServer(options)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: python)
    process.arguments = ["-c", Self.vanishingScript, server.path]
    try process.run()
    defer {
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
    }
    // And a stream of 400 MB, of which it reads one message.
    #expect(try await eventually { server.hanging.withLock { $0.begun } == 50 && server.counted.withLock { $0 } > 0 })
    let channel = try server.channel()
    let answer = try await channel.unary("/test.Parcels/Echo", [0x10, 9], timeoutNanoseconds: patienceNanoseconds)
    #expect(answer == [0x10, 9])
    #expect(server.counted.withLock { $0 } < 100)
    kill(process.processIdentifier, signal)
    #expect(try await eventually { server.hanging.withLock { $0.cancelled } == 50 })
    await server.server.shutDown(graceNanoseconds: secondNanoseconds)
  }

  private static func python() async throws -> String {
    try await onThread { try Self.output("/bin/bash", [Self.root + "/deploy/grpcio.sh"]) }.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  private static let keepAliveScript = """
    import sys, time, grpc
    channel = grpc.insecure_channel("unix:" + sys.argv[1], options=[
        ("grpc.keepalive_time_ms", 300), ("grpc.keepalive_timeout_ms", 60000), ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0)])
    lost = []
    channel.subscribe(lambda state: lost.append(state) if state == grpc.ChannelConnectivity.TRANSIENT_FAILURE else None)
    echo = channel.unary_unary("/test.Parcels/Echo")
    assert echo(b"\\x10\\x01", timeout=60) == b"\\x10\\x01"
    time.sleep(3)
    assert echo(b"\\x10\\x02", timeout=60) == b"\\x10\\x02"
    try:
        channel.unary_unary("/test.Parcels/Hang")(b"", timeout=3)
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
    assert echo(b"\\x10\\x03", timeout=60) == b"\\x10\\x03"
    assert not lost, lost
    print("all is well")
    """

  private static let vanishingScript = """
    import sys, time, grpc
    channel = grpc.insecure_channel("unix:" + sys.argv[1])
    calls = [channel.unary_unary("/test.Parcels/Hang").future(b"") for _ in range(50)]
    data = b"x" * (1 << 20)
    stream = channel.unary_stream("/test.Parcels/Count")(b"\\x0a\\x80\\x80\\x40" + data + b"\\x10\\x90\\x03")
    next(stream)
    time.sleep(600)
    """

  private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path

  private static func output(_ executable: String, _ arguments: [String]) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: executable)
    process.arguments = arguments
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(text)")
    return text
  }

  private static let script = """
    import sys, grpc
    from google.protobuf import timestamp_pb2
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    channel = grpc.insecure_channel("unix:" + sys.argv[1], options=[("grpc.max_receive_message_length", 64 << 20)])
    echo = channel.unary_unary("/test.Parcels/Echo")
    fail = channel.unary_unary("/test.Parcels/Fail")
    hang = channel.unary_unary("/test.Parcels/Hang")
    count = channel.unary_stream("/test.Parcels/Count")
    chat = channel.stream_stream("/test.Parcels/Chat")

    def status(call):
        try:
            call()
        except grpc.RpcError as error:
            return error.code(), error.details()
        return grpc.StatusCode.OK, ""

    def parcel(data, number=None):
        length, prefix = len(data), b""
        while length >= 128:
            prefix += bytes([length % 128 + 128])
            length //= 128
        return b"\\x0a" + prefix + bytes([length]) + data if data else b""

    assert echo(b"", timeout=60) == b""
    big = parcel(b"x" * (3 << 20))
    assert echo(big, timeout=60) == big
    assert status(lambda: echo(parcel(b"x" * (5 << 20)), timeout=60))[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert status(lambda: fail(b"\\x10\\x05", timeout=60)) == (grpc.StatusCode.NOT_FOUND, "kaputt: 100 % größer\\n")
    assert status(lambda: channel.unary_unary("/test.Parcels/None")(b"", timeout=60))[0] == grpc.StatusCode.UNIMPLEMENTED
    assert status(lambda: echo(b"\\xff", timeout=60))[0] == grpc.StatusCode.INTERNAL
    assert status(lambda: hang(b"", timeout=0.3))[0] == grpc.StatusCode.DEADLINE_EXCEEDED
    assert status(lambda: echo(b"\\x10\\x01" * 1000, timeout=60, compression=grpc.Compression.Gzip))[0] == grpc.StatusCode.UNIMPLEMENTED
    running = hang.future(b"", timeout=60)
    import time; time.sleep(0.3)
    running.cancel()
    numbers = [message for message in count(b"\\x10\\xe8\\x07", timeout=60)]
    assert len(numbers) == 1000 and numbers[0] == b"" and numbers[1] == b"\\x10\\x01", numbers[:3]
    assert list(chat(iter([b"a", b"b" * 100000, b""]), timeout=60)) == [b"a", b"b" * 100000, b""]
    calls = [echo.future(b"\\x10" + bytes([n % 127 + 1]), timeout=60, metadata=[("x-pause", "0.2")]) for n in range(1000)]
    assert [call.result() for call in calls] == [b"\\x10" + bytes([n % 127 + 1]) for n in range(1000)]
    stub = health_pb2_grpc.HealthStub(channel)
    assert stub.Check(health_pb2.HealthCheckRequest(service=""), timeout=60).status == health_pb2.HealthCheckResponse.SERVING
    assert status(lambda: stub.Check(health_pb2.HealthCheckRequest(service="none"), timeout=60))[0] == grpc.StatusCode.NOT_FOUND
    watch = stub.Watch(health_pb2.HealthCheckRequest(service=""), timeout=60)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()
    stamp = timestamp_pb2.Timestamp(seconds=-5, nanos=7)
    assert echo(b"\\x1a" + bytes([stamp.ByteSize()]) + stamp.SerializeToString(), timeout=60)[2:] == stamp.SerializeToString()
    print("all is well")
    """
}
