import Glibc

/// A fixed number of 64-bit words that start as zeros; a page takes memory when it is first written.
///
/// The tables of a pool are as long as the pool is large and mostly untouched, so they are mapped and not allocated: a sparse
/// pool costs what it holds.
@safe struct WordTable: ~Copyable {
  private let base: UnsafeMutablePointer<UInt64>
  let count: Int

  init(count: Int) {
    self.count = count
    unsafe base = zeroedMemory(byteCount: max(count, 1) * 8).bindMemory(to: UInt64.self, capacity: max(count, 1))
  }

  deinit { unsafe munmap(base, max(count, 1) * 8) }

  subscript(index: Int) -> UInt64 {
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

/// As `WordTable`, of 32-bit numbers.
@safe struct NumberTable: ~Copyable {
  private let base: UnsafeMutablePointer<UInt32>
  let count: Int

  init(count: Int) {
    self.count = count
    unsafe base = zeroedMemory(byteCount: max(count, 1) * 4).bindMemory(to: UInt32.self, capacity: max(count, 1))
  }

  deinit { unsafe munmap(base, max(count, 1) * 4) }

  subscript(index: Int) -> UInt32 {
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

private func zeroedMemory(byteCount: Int) -> UnsafeMutableRawPointer {
  let mapped = unsafe mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
  guard let mapped = unsafe mapped, unsafe mapped != MAP_FAILED else {
    preconditionFailure("no address space for \(byteCount) bytes of pool tables")
  }
  return unsafe mapped
}
