/// What the metadata of a pool lie on, for threads that wait: a file or device, or an image in a test.
protocol MetadataStorage: MetadataSource {
  /// Size of the file or device now.
  var sizeBytes: UInt64 { get }
  /// Writes `bytes` (a multiple of 4096 of them) at `offsetBytes`. Not durable before `synchronize`.
  func write(_ bytes: [UInt8], offsetBytes: UInt64) throws(PoolError)
  /// Makes a range (multiples of 4096) read as zeros. Not durable before `synchronize`.
  func zero(offsetBytes: UInt64, byteCount: UInt64) throws(PoolError)
  /// Makes what was written durable.
  func synchronize() throws(PoolError)
}

extension DiskFile: MetadataStorage {}
