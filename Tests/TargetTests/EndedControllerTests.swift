import NVMe
import Target
import Testing

@Suite(.serialized) struct EndedControllerTests {
  /// A queue's Connect may reach the target long after its controller was replaced: its commands would then run beside those
  /// of the new controller, and the new one would never become ready.
  @Test func `a late I/O queue does not join a replaced controller`() throws {
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
    #expect(old.queue.isClosedByTarget())
    let late = try TestHost(target.address)
    try late.initialize()
    let answer = try late.connect(to: volume.name, queue: 2, controller: old.controller)
    #expect(answer.status.matches(.connectInvalidParameters))
    volume.release()
    try admin.enable()
  }
}
