import Testing

@testable import Target

@Suite struct ControllerIdentifierAllocatorTests {
  @Test func `an id is not used again before all others were`() {
    var allocator = ControllerIdentifierAllocator(range: 10...12)
    #expect(allocator.allocate { _ in false } == 10)
    #expect(allocator.allocate { _ in false } == 11)
    #expect(allocator.allocate { _ in false } == 12)
    #expect(allocator.allocate { _ in false } == 10)
  }

  @Test func `ids in use are passed over`() {
    var allocator = ControllerIdentifierAllocator(range: 10...12)
    #expect(allocator.allocate { $0 == 10 } == 11)
    #expect(allocator.allocate { $0 == 12 } == 10)
    #expect(allocator.allocate { _ in true } == nil)
    #expect(allocator.allocate { $0 != 12 } == 12)
  }

  @Test func `the whole range can be used up to its end`() {
    var allocator = ControllerIdentifierAllocator(range: 1...0xFFEF)
    var last: UInt16 = 0
    for _ in 0..<0xFFEF { last = allocator.allocate { _ in false } ?? 0 }
    #expect(last == 0xFFEF)
    #expect(allocator.allocate { _ in false } == 1)
  }
}
