import CLinux
import Glibc

/// What a stream has to send: headers in memory of its own and payloads where they lie, in order.
///
/// Consecutive headers share one segment, so that many small replies are one `iovec`. Both rings grow to what a connection
/// ever had outstanding and are kept; in steady state nothing is allocated.
@safe struct SendQueue: ~Copyable {
  /// A stretch of header memory (`payload` nil, at `headerOffset`) or a payload.
  @safe private struct Segment {
    var payload: UnsafeMutableRawPointer?
    var headerOffset: UInt64
    var byteCount: Int
    /// Told to the stream when the payload was sent; headers have none.
    var token: UInt64
  }

  static let noToken = UInt64.max
  private var headers: UnsafeMutableRawPointer
  private var headerCapacity = 2048
  /// Header memory in use, as ever-growing offsets: position = offset modulo capacity.
  private var headerStart: UInt64 = 0
  private var headerEnd: UInt64 = 0

  private var segments: UnsafeMutablePointer<Segment>
  private var segmentCapacity = 32
  private var segmentStart = 0
  private var segmentCount = 0
  /// Bytes of the first segment that are sent.
  private var sentOfFirst = 0

  /// Bytes not yet handed to the kernel.
  private(set) var pendingBytes = 0
  /// Tokens of payloads that are with the kernel, or given up, and have not been told.
  private var sentTokens: [UInt64] = []

  init() {
    unsafe headers = .allocate(byteCount: 2048, alignment: 64)
    unsafe segments = .allocate(capacity: 32)
  }

  deinit {
    unsafe headers.deallocate()
    unsafe segments.deallocate()
  }

  var isEmpty: Bool { segmentCount == 0 }
  /// Of those, headers and small replies, which the queue keeps in memory of its own.
  var headerBytes: Int { Int(headerEnd - headerStart) }

  /// Room for `byteCount` contiguous bytes of header, to be filled in before the next call.
  mutating func appendHeader(byteCount: Int) -> UnsafeMutableRawPointer {
    var position = Int(headerEnd) & (headerCapacity - 1)
    // A header does not wrap: the rest of the ring is skipped.
    let skip = position + byteCount > headerCapacity ? headerCapacity - position : 0
    if Int(headerEnd - headerStart) + skip + byteCount > headerCapacity {
      growHeaders()
      return unsafe appendHeader(byteCount: byteCount)
    }
    if skip > 0 {
      headerEnd += UInt64(skip)
      position = 0
    }
    let last = (segmentStart + segmentCount - 1) & (segmentCapacity - 1)
    if segmentCount > 0, unsafe segments[last].payload == nil,
      unsafe segments[last].headerOffset + UInt64(segments[last].byteCount) == headerEnd, position != 0
    {
      unsafe segments[last].byteCount += byteCount
    } else {
      unsafe append(Segment(payload: nil, headerOffset: headerEnd, byteCount: byteCount, token: Self.noToken))
    }
    headerEnd += UInt64(byteCount)
    pendingBytes += byteCount
    return unsafe headers + position
  }

  /// Queues a payload; it must stay in place until `token` is told.
  mutating func appendPayload(_ payload: UnsafeMutableRawPointer, byteCount: Int, token: UInt64) {
    unsafe append(Segment(payload: payload, headerOffset: 0, byteCount: byteCount, token: token))
    pendingBytes += byteCount
  }

  private mutating func append(_ segment: Segment) {
    if segmentCount == segmentCapacity {
      let larger = UnsafeMutablePointer<Segment>.allocate(capacity: segmentCapacity * 2)
      for index in 0..<segmentCount { unsafe larger[index] = unsafe segments[(segmentStart + index) & (segmentCapacity - 1)] }
      unsafe segments.deallocate()
      unsafe segments = unsafe larger
      segmentCapacity *= 2
      segmentStart = 0
    }
    unsafe segments[(segmentStart + segmentCount) & (segmentCapacity - 1)] = segment
    segmentCount += 1
  }

  /// Doubles the header ring. The outstanding offsets keep their meaning: each byte goes to its offset modulo the new size.
  private mutating func growHeaders() {
    let capacity = headerCapacity * 2
    let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 64)
    // A segment is contiguous modulo the old size, and so it is modulo twice that size.
    for index in 0..<segmentCount {
      let segment = unsafe segments[(segmentStart + index) & (segmentCapacity - 1)]
      guard unsafe segment.payload == nil else { continue }
      unsafe memcpy(
        larger + Int(segment.headerOffset) & (capacity - 1), headers + Int(segment.headerOffset) & (headerCapacity - 1),
        segment.byteCount)
    }
    unsafe headers.deallocate()
    unsafe headers = unsafe larger
    headerCapacity = capacity
  }

  /// Sends as much as the socket takes. Returns false with errno when it is broken. `nextSent` tells of finished payloads.
  mutating func send(to descriptor: Int32, vectors: UnsafeMutableBufferPointer<iovec>) -> Bool {
    while segmentCount > 0 {
      var count = 0
      var byteCount = 0
      while count < segmentCount && count < vectors.count {
        let segment = unsafe segments[(segmentStart + count) & (segmentCapacity - 1)]
        let skip = count == 0 ? sentOfFirst : 0
        let base = unsafe segment.payload ?? headers + Int(segment.headerOffset) & (headerCapacity - 1)
        unsafe vectors[count] = unsafe iovec(iov_base: base + skip, iov_len: segment.byteCount - skip)
        byteCount += segment.byteCount - skip
        count += 1
      }
      var message = unsafe msghdr()
      unsafe message.msg_iov = vectors.baseAddress
      unsafe message.msg_iovlen = count
      let written = unsafe sendmsg(descriptor, &message, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
      if written < 0 {
        if errno == EINTR { continue }
        return errno == EAGAIN || errno == EWOULDBLOCK
      }
      consume(written)
      if written < byteCount { return true }
    }
    return true
  }

  private mutating func consume(_ byteCount: Int) {
    var remaining = byteCount
    pendingBytes -= byteCount
    while remaining > 0 {
      let segment = unsafe segments[segmentStart]
      let left = segment.byteCount - sentOfFirst
      if remaining < left {
        sentOfFirst += remaining
        return
      }
      remaining -= left
      dropFirst(segment)
    }
  }

  private mutating func dropFirst(_ segment: Segment) {
    segmentStart = (segmentStart + 1) & (segmentCapacity - 1)
    segmentCount -= 1
    sentOfFirst = 0
    if unsafe segment.payload == nil {
      headerStart = segment.headerOffset + UInt64(segment.byteCount)
    } else if segment.token != Self.noToken {
      sentTokens.append(segment.token)
    }
    if segmentCount == 0 { headerStart = headerEnd }
  }

  /// The token of a payload that is no longer referred to; each is given once.
  @inline(__always)
  mutating func nextSent() -> UInt64? { sentTokens.popLast() }

  /// Forgets everything; payload tokens are told as if sent: nothing refers to the payloads any more.
  mutating func removeAll() {
    while segmentCount > 0 { unsafe dropFirst(segments[segmentStart]) }
    pendingBytes = 0
  }
}
