import NVMe
import Reactor
import Target
import Testing

@Suite(.serialized) struct SessionTests {
  static let engines: [IOEngineChoice] = [.ioUring, .libaio]

  @Test(arguments: engines) func `a host connects, identifies, writes and reads`(engine: IOEngineChoice) throws {
    let target = try TestTarget(engine)
    defer { target.stop() }
    let volume = target.addVolume()
    let session = try TestSession(target, volume)
    #expect(try session.admin.identifyController().controllerIdentifier == session.controller)
    #expect(try session.admin.identifyNamespace().sizeBlocks == 32768)
    let data = pattern(4096)
    #expect(try session.queue.write(8, data).status.isSuccess)
    #expect(volume.bytes(offsetBytes: 4096, count: 4096) == data)
    let large = pattern(256 << 10, seed: 3)
    #expect(try session.queue.write(1024, large, inCapsule: false).status.isSuccess)
    #expect(try session.queue.read(1024, blocks: 512).data == large)
    session.close()
    #expect(target.isQuietSoon())
  }
}
