import CLinux
import Glibc
import Reactor

/// Calls that wait: for control threads, never for reactors.
extension DiskFile {
  /// Zeroing goes in pieces of this size, so that I/O on the same file gets its turn in between.
  static let zeroPieceBytes: UInt64 = 64 << 20

  /// Reads up to `byteCount` bytes (a multiple of 4096) at `offsetBytes` (a multiple of the sector size); fewer at the end.
  func read(offsetBytes: UInt64, byteCount: Int) throws(PoolError) -> [UInt8] {
    precondition(byteCount % Self.alignmentBytes == 0 && offsetBytes % UInt64(sectorBytes) == 0)
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: Self.alignmentBytes)
    defer { unsafe buffer.deallocate() }
    var done = 0
    while done < byteCount {
      let count = unsafe pread(descriptor, buffer + done, byteCount - done, off_t(offsetBytes) + off_t(done))
      if count < 0 {
        if errno == EINTR { continue }
        throw .system(path: path, action: "read \(byteCount) bytes at offset \(offsetBytes) of", code: errno)
      }
      done += count
      // A read that ends inside a sector has met the end of the file; direct I/O could not go on from there.
      if count == 0 || count % Int(sectorBytes) != 0 { break }
    }
    return unsafe [UInt8](UnsafeRawBufferPointer(start: buffer, count: done))
  }

  /// Writes `bytes` (a multiple of 4096 of them) at `offsetBytes`. Not durable before `synchronize`.
  func write(_ bytes: [UInt8], offsetBytes: UInt64) throws(PoolError) {
    precondition(bytes.count % Self.alignmentBytes == 0 && offsetBytes % UInt64(Self.alignmentBytes) == 0)
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: Self.alignmentBytes)
    defer { unsafe buffer.deallocate() }
    unsafe bytes.withUnsafeBytes { source in
      unsafe UnsafeMutableRawBufferPointer(start: buffer, count: source.count).copyMemory(from: source)
    }
    try unsafe write(buffer, byteCount: bytes.count, offsetBytes: offsetBytes)
  }

  private func write(_ buffer: UnsafeRawPointer, byteCount: Int, offsetBytes: UInt64) throws(PoolError) {
    var done = 0
    while done < byteCount {
      let count = unsafe pwrite(descriptor, buffer + done, byteCount - done, off_t(offsetBytes) + off_t(done))
      if count > 0 {
        done += count
      } else if count == 0 || errno != EINTR {
        throw .system(
          path: path, action: "write \(byteCount) bytes at offset \(offsetBytes) of", code: count == 0 ? EIO : errno)
      }
    }
  }

  // MARK: As a pool's disk

  /// Reads exactly this much; 0 or -errno.
  func readFully(into buffer: UnsafeMutableRawPointer, byteCount: Int, offsetBytes: UInt64) -> Int32 {
    var done = 0
    while done < byteCount {
      let count = unsafe pread(descriptor, buffer + done, byteCount - done, off_t(offsetBytes) + off_t(done))
      if count > 0 { done += count } else if count == 0 || errno != EINTR { return count == 0 ? -EIO : -errno }
    }
    return 0
  }

  /// Writes exactly this much; 0 or -errno.
  func writeFully(from buffer: UnsafeRawPointer, byteCount: Int, offsetBytes: UInt64) -> Int32 {
    var done = 0
    while done < byteCount {
      let count = unsafe pwrite(descriptor, buffer + done, byteCount - done, off_t(offsetBytes) + off_t(done))
      if count > 0 { done += count } else if count == 0 || errno != EINTR { return count == 0 ? -EIO : -errno }
    }
    return 0
  }

  func synchronizeResult() -> Int32 { fdatasync(descriptor) == 0 ? 0 : -errno }

  /// Gives a range back to the storage, after which it reads zeros; 0 or -errno.
  func punchHole(offsetBytes: UInt64, byteCount: UInt64) -> Int32 {
    var offset = offsetBytes
    let end = offsetBytes + byteCount
    while offset < end {
      let piece = min(end - offset, 1 << 30)
      let code = keelson_fallocate(descriptor, Self.punchHoleMode, offset, piece)
      if code < 0 && code != -EINTR { return code }
      if code == 0 { offset += piece }
    }
    return 0
  }

  /// Makes what was written durable.
  func synchronize() throws(PoolError) {
    guard fdatasync(descriptor) == 0 else { throw .system(path: path, action: "make writes durable on", code: errno) }
  }

  /// Writes zeros, so that a file has blocks there.
  func writeZeros(offsetBytes: UInt64, byteCount: UInt64) throws(PoolError) {
    var offset = offsetBytes
    while offset < offsetBytes + byteCount {
      let piece = min(offsetBytes + byteCount - offset, UInt64(ZeroBuffer.byteCount))
      try unsafe write(ZeroBuffer.shared.base, byteCount: Int(piece), offsetBytes: offset)
      offset += piece
    }
  }

  /// Makes a range (multiples of 4096) read as zeros, by the cheapest way the storage has.
  func zero(offsetBytes: UInt64, byteCount: UInt64) throws(PoolError) {
    precondition(offsetBytes % UInt64(Self.alignmentBytes) == 0 && byteCount % UInt64(Self.alignmentBytes) == 0)
    var mode: Int32? = Self.punchHoleMode
    var offset = offsetBytes
    let end = offsetBytes + byteCount
    while offset < end {
      guard let currentMode = mode else { return try writeZeros(offsetBytes: offset, byteCount: end - offset) }
      let piece = min(end - offset, Self.zeroPieceBytes)
      let code = keelson_fallocate(descriptor, currentMode, offset, piece)
      if code == 0 {
        offset += piece
      } else if code == -EOPNOTSUPP || code == -ENOSYS {
        mode = currentMode == Self.punchHoleMode ? Self.zeroRangeMode : nil
      } else if code != -EINTR {
        throw .system(path: path, action: "zero \(piece) bytes at offset \(offset) of", code: -code)
      }
    }
  }

  private static let punchHoleMode = Int32(FALLOC_FL_PUNCH_HOLE) | Int32(FALLOC_FL_KEEP_SIZE)
  private static let zeroRangeMode = Int32(FALLOC_FL_ZERO_RANGE) | Int32(FALLOC_FL_KEEP_SIZE)

  /// Takes back the creation of a file that could not be used.
  func removeName() { unsafe unlink(path) }

  /// Makes the name of a file that was just created durable.
  func synchronizeDirectory() throws(PoolError) {
    var directory = "."
    if let slash = path.lastIndex(of: "/") { directory = slash == path.startIndex ? "/" : String(path[..<slash]) }
    let opened = unsafe keelson_open(directory, O_RDONLY | O_CLOEXEC | O_DIRECTORY, 0)
    guard opened >= 0 else { throw .system(path: directory, action: "open", code: -opened) }
    defer { close(opened) }
    guard fsync(opened) == 0 else { throw .system(path: directory, action: "make durable", code: errno) }
  }
}
