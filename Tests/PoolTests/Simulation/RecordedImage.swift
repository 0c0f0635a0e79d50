@testable import Pool

/// An image that remembers what was written to it, and what a power loss at any moment may leave.
final class RecordedImage: MetadataStorage {
  enum Event {
    case write(offset: Int, bytes: [UInt8])
    case flush
  }

  let path = "image"
  let base: [UInt8]
  private(set) var image: [UInt8]
  private(set) var events: [Event] = []

  init(_ image: [UInt8]) {
    base = image
    self.image = image
  }

  var sizeBytes: UInt64 { UInt64(image.count) }

  func read(offsetBytes: UInt64, byteCount: Int) throws(PoolError) -> [UInt8] {
    let start = min(Int(offsetBytes), image.count)
    return Array(image[start..<min(start + byteCount, image.count)])
  }

  func write(_ bytes: [UInt8], offsetBytes: UInt64) throws(PoolError) {
    image.replaceSubrange(Int(offsetBytes)..<Int(offsetBytes) + bytes.count, with: bytes)
    events.append(.write(offset: Int(offsetBytes), bytes: bytes))
  }

  func zero(offsetBytes: UInt64, byteCount: UInt64) throws(PoolError) {
    try write([UInt8](repeating: 0, count: Int(byteCount)), offsetBytes: offsetBytes)
  }

  func synchronize() throws(PoolError) { events.append(.flush) }

  /// The first `count` events happened; what no flush followed is there, gone, or there in some of its sectors.
  func afterPowerLoss(_ count: Int, _ style: Int, using generator: inout SeededGenerator) -> [UInt8] {
    var lost = base
    let lastFlush = events[..<count].lastIndex { if case .flush = $0 { true } else { false } } ?? -1
    for (index, event) in events[..<count].enumerated() {
      guard case .write(let offset, let bytes) = event else { continue }
      if index < lastFlush || style == 1 {
        lost.replaceSubrange(offset..<offset + bytes.count, with: bytes)
      } else if style >= 2 {
        for sector in stride(from: 0, to: bytes.count, by: 512) where Bool.random(using: &generator) {
          lost.replaceSubrange(offset + sector..<offset + sector + 512, with: bytes[sector..<sector + 512])
        }
      }
    }
    return lost
  }
}
