/// A range of bytes.
public struct ByteRange: Equatable, Sendable {
  public var offsetBytes: UInt64
  public var byteCount: UInt64

  public init(offsetBytes: UInt64, byteCount: UInt64) {
    self.offsetBytes = offsetBytes
    self.byteCount = byteCount
  }
}

/// A part of a list of ranges, in ascending order.
public struct RangeList: Equatable, Sendable {
  public var ranges: [ByteRange]
  /// Where to go on; nil at the end.
  public var nextOffsetBytes: UInt64?
}

extension PoolState {
  /// Looks at no more logical clusters than this in one call.
  static let listedClusters = 16_384

  /// The ranges from `offset` on in which the layer or its parents hold data, in whole blocks, at most `limit`.
  func allocatedRanges(layer: UInt32, sizeBytes: UInt64, from offset: UInt64, limit: Int) -> RangeList {
    guard let index = layerIndexes[layer] else { return RangeList(ranges: []) }
    return list(sizeBytes, from: offset, limit) { visibleMask(layerIndex: index, logical: $0) }
  }

  /// The ranges from `offset` on that may differ between two layers of one volume: what was decided on the ways from both up to
  /// where they meet.
  func differingRanges(_ first: UInt32, _ second: UInt32, sizeBytes: UInt64, from offset: UInt64, limit: Int) -> RangeList {
    guard let firstIndex = layerIndexes[first], let secondIndex = layerIndexes[second] else { return RangeList(ranges: []) }
    var above: Set<Int> = []
    var index = firstIndex
    while index != Layer.none, let layer = layers[index] {
      above.insert(index)
      index = layer.parent
    }
    var meeting = secondIndex
    while meeting != Layer.none, !above.contains(meeting), let layer = layers[meeting] { meeting = layer.parent }
    return list(sizeBytes, from: offset, limit) { logical in
      decidedMask(layerIndex: firstIndex, logical: logical, before: meeting).union(
        decidedMask(layerIndex: secondIndex, logical: logical, before: meeting))
    }
  }

  private func list(_ sizeBytes: UInt64, from offset: UInt64, _ limit: Int, _ mask: (UInt32) -> BlockMask) -> RangeList {
    var list = RangeList(ranges: [])
    let start = offset & ~(PoolGeometry.blockBytes - 1)
    guard start < sizeBytes, limit > 0 else { return list }
    let first = start >> geometry.clusterShift
    let last = (sizeBytes - 1) >> geometry.clusterShift
    for logical in first...last {
      let base = logical << geometry.clusterShift
      if logical - first >= UInt64(Self.listedClusters) {
        list.nextOffsetBytes = base
        return list
      }
      for run in mask(UInt32(logical)).runs {
        let from = max(base + UInt64(run.lowerBound) * PoolGeometry.blockBytes, start)
        let to = min(base + UInt64(run.upperBound) * PoolGeometry.blockBytes, sizeBytes)
        if from >= to { continue }
        if let previous = list.ranges.last, previous.offsetBytes + previous.byteCount == from {
          list.ranges[list.ranges.count - 1].byteCount += to - from
        } else if list.ranges.count == limit {
          list.nextOffsetBytes = from
          return list
        } else {
          list.ranges.append(ByteRange(offsetBytes: from, byteCount: to - from))
        }
      }
    }
    return list
  }
}
