import Testing

@testable import Target

@Suite struct KeepAliveTimerTests {
  private let second: UInt64 = 1_000_000_000

  @Test(arguments: [(0, 0), (1, 1_000), (1_000, 1_000), (1_001, 2_000), (4_294_967_295, 4_294_967_000)] as [(UInt32, UInt32)])
  func `the time is rounded up to whole seconds`(asked: UInt32, timeout: UInt32) {
    #expect(KeepAliveTimer(timeoutMilliseconds: asked, isDiscovery: false, now: 0).timeoutMilliseconds == timeout)
  }

  @Test(arguments: [(1_000, 2), (5_000, 7), (10_000, 15), (60_000, 65)] as [(UInt32, UInt64)])
  func `a host is gone when it is late beyond the margin`(timeout: UInt32, limitSeconds: UInt64) {
    let timer = KeepAliveTimer(timeoutMilliseconds: timeout, isDiscovery: false, now: 10 * second)
    #expect(!timer.isExpired((10 + limitSeconds) * second))
    #expect(timer.isExpired((11 + limitSeconds) * second))
  }

  @Test func `any command puts it off`() {
    var timer = KeepAliveTimer(timeoutMilliseconds: 5_000, isDiscovery: false, now: 0)
    #expect(timer.expiry == 7_500_000_000)
    timer.touch(7 * second)
    #expect(!timer.isExpired(14 * second))
    #expect(timer.isExpired(15 * second))
    #expect(timer.expiry == 14_500_000_000)
  }

  @Test func `without a time an io controller stays and a discovery controller ends when idle`() {
    let io = KeepAliveTimer(timeoutMilliseconds: 0, isDiscovery: false, now: 0)
    #expect(!io.isExpired(UInt64.max) && io.expiry == nil)
    let discovery = KeepAliveTimer(timeoutMilliseconds: 0, isDiscovery: true, now: 0)
    #expect(!discovery.isExpired(120 * second))
    #expect(discovery.isExpired(121 * second))
    let persistent = KeepAliveTimer(timeoutMilliseconds: 300_000, isDiscovery: true, now: 0)
    #expect(!persistent.isExpired(300 * second))
    #expect(persistent.isExpired(306 * second))
  }

  @Test func `a time before the last command is not late`() {
    let timer = KeepAliveTimer(timeoutMilliseconds: 1_000, isDiscovery: false, now: 100 * second)
    #expect(!timer.isExpired(0))
  }

  @Test func `a controller is touched by its commands`() throws {
    let controller = try Fixture.enabledController(keepAliveMilliseconds: 1_000)
    #expect(controller.isExpired(3 * second))
    _ = try controller.completed(.keepAlive(commandIdentifier: 1), now: 3 * second)
    #expect(!controller.isExpired(4 * second))
    controller.touch(6 * second)
    #expect(!controller.isExpired(7 * second))
    #expect(controller.isExpired(9 * second))
  }
}
