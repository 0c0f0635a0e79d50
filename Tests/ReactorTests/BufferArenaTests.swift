import Reactor
import Testing

@Suite struct BufferArenaTests {
  @Test func `gives aligned buffers that never overlap and takes all back`() throws {
    guard let arena = BufferArena(byteCount: 8 << 20) else {
      Issue.record("no memory for the arena")
      return
    }
    var generator = SystemRandomNumberGenerator()
    var held: [(address: UInt, byteCount: Int)] = []
    for _ in 0..<20_000 {
      if Bool.random(using: &generator) || held.isEmpty {
        let byteCount = Int.random(in: 1...(1 << Int.random(in: 1...21)))
        guard let buffer = unsafe arena.allocate(byteCount: byteCount) else { continue }
        let address = UInt(bitPattern: buffer)
        #expect(address % 4096 == 0)
        #expect(unsafe arena.contains(buffer, byteCount: byteCount))
        for other in held {
          let isApart = address + UInt(byteCount) <= other.address || other.address + UInt(other.byteCount) <= address
          #expect(isApart)
        }
        held.append((address, byteCount))
      } else {
        held.swapAt(Int.random(in: 0..<held.count, using: &generator), held.count - 1)
        unsafe arena.release(UnsafeMutableRawPointer(bitPattern: held.removeLast().address)!)
      }
    }
    while let last = held.popLast() { unsafe arena.release(UnsafeMutableRawPointer(bitPattern: last.address)!) }
    #expect(arena.usedBytes == 0)
    // Everything merged again: the whole arena can be had in largest buffers.
    for _ in 0..<4 { unsafe #expect(arena.allocate(byteCount: BufferArena.maximumBufferBytes) != nil) }
    unsafe #expect(arena.allocate(byteCount: 1) == nil)
  }
}
