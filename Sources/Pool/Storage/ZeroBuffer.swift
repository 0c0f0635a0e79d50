import CLinux
import Glibc

/// One MiB of zeros for the whole process. Mapped read-only: it takes no memory, and nobody can write into it.
@safe struct ZeroBuffer: @unchecked Sendable {
  static let byteCount = 1 << 20
  static let shared = ZeroBuffer()

  let base: UnsafeMutableRawPointer

  private init() {
    let mapped = unsafe mmap(nil, Self.byteCount, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let mapped = unsafe mapped, unsafe mapped != MAP_FAILED else { preconditionFailure("no address space for 1 MiB of zeros") }
    unsafe base = mapped
  }
}
