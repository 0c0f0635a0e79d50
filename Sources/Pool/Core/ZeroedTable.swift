import Glibc

/// A fixed number of integers that start as zeros; a page takes memory when it is first written.
///
/// The tables of a pool are as long as the pool is large and mostly untouched, so they are mapped and not allocated: a sparse
/// pool costs what it holds.
@safe struct ZeroedTable<Element: FixedWidthInteger & BitwiseCopyable>: ~Copyable {
  private let base: UnsafeMutablePointer<Element>
  let count: Int

  init(count: Int) {
    self.count = count
    let byteCount = max(count, 1) * MemoryLayout<Element>.stride
    let mapped = unsafe mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    guard let mapped = unsafe mapped, unsafe mapped != MAP_FAILED else {
      preconditionFailure("no address space for \(byteCount) bytes of pool tables")
    }
    unsafe base = mapped.bindMemory(to: Element.self, capacity: max(count, 1))
  }

  deinit { unsafe munmap(base, max(count, 1) * MemoryLayout<Element>.stride) }

  subscript(index: Int) -> Element {
    @inline(__always) get {
      precondition(UInt(bitPattern: index) < UInt(bitPattern: count))
      return unsafe base[index]
    }
    @inline(__always) nonmutating set {
      precondition(UInt(bitPattern: index) < UInt(bitPattern: count))
      unsafe base[index] = newValue
    }
  }
}

typealias WordTable = ZeroedTable<UInt64>
typealias NumberTable = ZeroedTable<UInt32>
