import Foundation
import NVMe
import Synchronization
import Target
import Testing

@Suite(.serialized) struct ShutdownRaceTests {
  /// Whoever removes a subsystem closes its device next, and a device with a request in flight must not be closed.
  @Test func `a subsystem is gone only when the flush of a shutdown has ended`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let session = try TestSession(target, volume)
    volume.set(.hold)
    #expect(try session.admin.setConfiguration(TestHost.enabled | 1 << 14) == .success)
    #expect(TestTarget.eventually { volume.begunCount == 1 })
    session.close()
    let isRemoved = Flag()
    let server = target.server
    let name = volume.name
    Thread.detachNewThread {
      server.remove(name)
      isRemoved.set()
    }
    pause(milliseconds: 200)
    #expect(!isRemoved.isSet)
    volume.release()
    #expect(TestTarget.eventually { isRemoved.isSet })
  }

  /// A host waits for its older controller, which a stuck device keeps: whatever it writes to CC meanwhile, the target keeps one
  /// thing to do for it, and does the last.
  @Test func `resets and enables while commands are stuck end in the last one`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let old = try TestSession(target, volume)
    volume.set(.hold)
    try old.queue.send(old.queue.capsule(.flush(commandIdentifier: 9, namespaceIdentifier: 1)))
    #expect(TestTarget.eventually { volume.begunCount == 1 })
    let admin = try TestHost(target.address)
    try admin.initialize()
    #expect(try admin.connect(to: volume.name).status.isSuccess)
    for _ in 0..<200 {
      #expect(try admin.setConfiguration(TestHost.enabled) == .success)
      #expect(try admin.setConfiguration(TestHost.enabled & ~1) == .success)
    }
    #expect(try admin.setConfiguration(TestHost.enabled) == .success)
    pause(milliseconds: 50)
    #expect(try !admin.controllerStatus().isReady)
    volume.release()
    #expect(try TestTarget.eventually { try admin.controllerStatus().isReady })
  }
}

private final class Flag: Sendable {
  private let value = Mutex(false)
  var isSet: Bool { value.withLock { $0 } }
  func set() { value.withLock { $0 = true } }
}
