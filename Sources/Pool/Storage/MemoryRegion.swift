import CLinux
import Glibc

/// The memory of a volatile pool, shared by all reactors of the process. Pages take room when they are first written.
@safe final class MemoryRegion: @unchecked Sendable {
  let base: UnsafeMutableRawPointer
  let byteCount: UInt64
  private let pageMask: UInt64

  /// Maps `byteCount` bytes of zeros; refuses more than the machine has.
  init(byteCount: UInt64) throws(PoolError) {
    let pageBytes = UInt64(max(sysconf(Int32(_SC_PAGESIZE)), 4096))
    let present = UInt64(max(sysconf(Int32(_SC_PHYS_PAGES)), 0)) * pageBytes
    guard byteCount > 0, byteCount <= present else { throw .notEnoughMemory(neededBytes: byteCount, presentBytes: present) }
    let mapped = unsafe mmap(nil, Int(byteCount), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    guard let mapped = unsafe mapped, unsafe mapped != MAP_FAILED else {
      throw .notEnoughMemory(neededBytes: byteCount, presentBytes: present)
    }
    unsafe base = mapped
    self.byteCount = byteCount
    pageMask = pageBytes - 1
  }

  deinit { unsafe munmap(base, Int(byteCount)) }

  /// Makes a range zeros; large ones by giving their pages back to the system.
  func zero(offsetBytes: UInt64, byteCount count: UInt64) {
    precondition(offsetBytes <= byteCount && count <= byteCount - offsetBytes)
    let end = offsetBytes + count
    let firstPage = (offsetBytes + pageMask) & ~pageMask
    let lastPage = end & ~pageMask
    guard count > Self.clearedBytes, firstPage < lastPage,
      unsafe madvise(base + Int(firstPage), Int(lastPage - firstPage), Int32(MADV_DONTNEED)) == 0
    else {
      unsafe memset(base + Int(offsetBytes), 0, Int(count))
      return
    }
    unsafe memset(base + Int(offsetBytes), 0, Int(firstPage - offsetBytes))
    unsafe memset(base + Int(lastPage), 0, Int(end - lastPage))
  }

  /// Up to here clearing is cheaper than giving back and faulting in again.
  private static let clearedBytes: UInt64 = 64 << 10
}
