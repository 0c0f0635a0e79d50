/// Length-prefixed messages (gRPC over HTTP/2, "Length-Prefixed-Message"): a compression flag, four bytes of length, the message.
enum MessageFraming {
  static let prefixBytes = 5

  static func frame(_ message: [UInt8]) -> [UInt8] {
    let count = UInt32(message.count)
    var bytes: [UInt8] = [0, UInt8(count >> 24), UInt8(count >> 16 & 0xFF), UInt8(count >> 8 & 0xFF), UInt8(count & 0xFF)]
    bytes.append(contentsOf: message)
    return bytes
  }
}

/// Puts messages together from the pieces that arrive. A message over the limit is refused when its prefix is there, before its bytes.
///
/// It also counts what the peer is to be given back of its window: a message that waits for its reader keeps its room, but the pieces of an
/// unfinished one give theirs back at once, or a message larger than the window would never arrive.
struct MessageDeframer {
  enum Failure: Error, Equatable {
    case tooLarge(byteCount: Int)
    case compressed
  }

  let maximumBytes: Int
  private var pending: [UInt8] = []
  private var start = 0
  /// Bytes given back before the message they belong to was taken.
  private var advancedBytes = 0

  init(maximumBytes: Int) { self.maximumBytes = maximumBytes }

  /// Bytes of a message that is not whole yet.
  var pendingBytes: Int { pending.count - start }

  /// After bytes came and whole messages were taken out: what to give back for the unfinished one.
  mutating func advance() -> Int {
    let count = max(0, pendingBytes - advancedBytes)
    advancedBytes += count
    return count
  }

  /// A reader took a message of `count` bytes: what to give back. It may be that an unfinished message can go on only now.
  mutating func release(_ count: Int) -> Int {
    let whole = count + MessageFraming.prefixBytes
    let used = min(whole, advancedBytes)
    advancedBytes -= used
    return whole - used + advance()
  }

  mutating func append(_ bytes: [UInt8]) {
    if start == pending.count {
      pending = bytes
      start = 0
    } else {
      pending.append(contentsOf: bytes)
    }
  }

  /// The next whole message; nil if more bytes have to come first.
  mutating func next() throws(Failure) -> [UInt8]? {
    if pendingBytes < MessageFraming.prefixBytes { return nil }
    if pending[start] != 0 { throw .compressed }
    let count = (1...4).reduce(0) { $0 << 8 | Int(pending[start + $1]) }
    if count > maximumBytes { throw .tooLarge(byteCount: count) }
    let bodyStart = start + MessageFraming.prefixBytes
    if pending.count - bodyStart < count { return nil }
    let message = Array(pending[bodyStart..<bodyStart + count])
    start = bodyStart + count
    if start == pending.count || start > 1 << 16 {
      pending.removeFirst(start)
      start = 0
    }
    return message
  }
}
