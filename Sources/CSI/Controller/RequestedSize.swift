import Control
import GRPC

/// How large a volume shall be, from a `capacity_range`: whole MiB, never above the limit.
struct RequestedSize: Equatable, Sendable {
  static let standardBytes: UInt64 = 1 << 30

  /// What the caller takes, in bytes; 0 for no bound.
  private let requiredBytes: UInt64
  private let limitBytes: UInt64

  /// Throws INVALID_ARGUMENT or OUT_OF_RANGE.
  init(_ range: CapacityRange?) throws(GRPCError) {
    let (required, limit) = (range?.requiredBytes ?? 0, range?.limitBytes ?? 0)
    if required < 0 || limit < 0 { throw CSIRequests.invalid("capacity_range has a negative number in it") }
    if limit > 0, required > limit {
      throw GRPCError(.outOfRange, "capacity_range: required_bytes \(required) is more than limit_bytes \(limit)")
    }
    requiredBytes = UInt64(required)
    limitBytes = UInt64(limit)
    if limitBytes > 0, limitBytes < VolumeSpec.sizeStepBytes {
      throw GRPCError(.outOfRange, "capacity_range: limit_bytes \(limit) is less than the smallest volume, 1 MiB")
    }
    if requiredBytes > VolumeSpec.maximumSizeBytes {
      throw GRPCError(.outOfRange, "capacity_range: required_bytes \(required) is more than the largest volume, 64 TiB")
    }
  }

  /// The size of a new volume: what is required, or else `standard`, at least `minimum`. Throws OUT_OF_RANGE if that is above the limit.
  func bytes(standard: UInt64 = standardBytes, minimum: UInt64 = 0) throws(GRPCError) -> UInt64 {
    let step = VolumeSpec.sizeStepBytes
    var wanted = max(requiredBytes, minimum)
    if requiredBytes == 0 { wanted = max(minimum, limitBytes == 0 ? standard : min(standard, limitBytes / step * step)) }
    let size = (wanted + step - 1) / step * step
    if limitBytes > 0, size > limitBytes {
      throw GRPCError(
        .outOfRange, "capacity_range: limit_bytes \(limitBytes) is less than \(size), what is needed in whole MiB")
    }
    return size
  }

  /// Whether a volume that is there is one that was asked for.
  func allows(_ bytes: UInt64) -> Bool { bytes >= requiredBytes && (limitBytes == 0 || bytes <= limitBytes) }

  /// Whether `bytes`, which cannot become less, is above the limit.
  func isExceeded(by bytes: UInt64) -> Bool { limitBytes > 0 && bytes > limitBytes }
}
