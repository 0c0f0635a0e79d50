/// Where a device's bytes lie in its storage: immutable once the device is open.
///
/// Extents follow each other without gaps in the device; neighbours in storage are one extent, so most devices have one.
struct ExtentMap {
  /// A run of bytes that are contiguous in the device and in storage.
  struct Extent: Equatable {
    var deviceOffset: UInt64
    var storageOffset: UInt64
    var byteCount: UInt64
  }

  private let first: Extent
  private let extents: [Extent]

  /// One extent: the whole of a plain file.
  init(storageOffset: UInt64, byteCount: UInt64) {
    first = Extent(deviceOffset: 0, storageOffset: storageOffset, byteCount: byteCount)
    extents = [first]
  }

  /// Extents of clusters, in the order of the device.
  init(clusters: [ClusterExtent], clusterBytes: UInt64, dataOffset: UInt64) {
    precondition(!clusters.isEmpty)
    var extents: [Extent] = []
    var deviceOffset: UInt64 = 0
    for run in clusters {
      let storageOffset = dataOffset + run.start * clusterBytes
      let byteCount = run.count * clusterBytes
      if let last = extents.last, last.storageOffset + last.byteCount == storageOffset {
        extents[extents.count - 1].byteCount += byteCount
      } else {
        extents.append(Extent(deviceOffset: deviceOffset, storageOffset: storageOffset, byteCount: byteCount))
      }
      deviceOffset += byteCount
    }
    self.extents = extents
    first = extents[0]
  }

  /// Where a byte of the device lies, and how many bytes from there on are contiguous. The offset is inside the device.
  @inline(__always)
  func locate(_ offset: UInt64) -> (storageOffset: UInt64, contiguousBytes: UInt64) {
    if offset < first.byteCount { return (first.storageOffset + offset, first.byteCount - offset) }
    return search(offset)
  }

  @inline(never)
  private func search(_ offset: UInt64) -> (storageOffset: UInt64, contiguousBytes: UInt64) {
    var low = 0
    var high = extents.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if extents[middle].deviceOffset <= offset { low = middle } else { high = middle }
    }
    let within = offset - extents[low].deviceOffset
    precondition(within < extents[low].byteCount, "an offset outside of the device")
    return (extents[low].storageOffset + within, extents[low].byteCount - within)
  }
}
