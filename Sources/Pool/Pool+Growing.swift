import Glibc

extension Pool {
  /// What growing a pool gave.
  public struct Growth: Equatable, Sendable {
    public let name: String
    public let location: String
    /// Bytes of all clusters, before and after.
    public let oldBytes: UInt64
    public let newBytes: UInt64
    public let notices: [String]
  }

  /// Takes the space that the file or device of a pool that nobody uses has gained. With `fileBytes` a regular file gets that size first;
  /// a crash between the two leaves a larger file, whose space the next opening takes.
  public static func grow(path: String, fileBytes: UInt64? = nil, names: DeviceNames = .system) throws(PoolError) -> Growth {
    let oldBytes = try extend(names.preferred(path), to: fileBytes)
    let pool = try open(path: path, names: names)
    let growth = Growth(
      name: pool.name, location: pool.location, oldBytes: oldBytes, newBytes: pool.totalBytes, notices: pool.notices)
    try pool.close()
    return growth
  }

  /// Returns the size of the pool in the file.
  private static func extend(_ path: String, to fileBytes: UInt64?) throws(PoolError) -> UInt64 {
    let file = try DiskFile(path: path)
    let superblock = try SuperblockCopies(reading: file).choose(file).superblock
    if let fileBytes {
      guard !file.isBlockDevice else { throw .unsuitable(path: file.path, what: "a block device, whose size is its own") }
      guard fileBytes >= file.sizeBytes else {
        throw .notLarger(path: file.path, byteCount: file.sizeBytes, askedBytes: fileBytes)
      }
      guard fileBytes <= UInt64(Int64.max), ftruncate(file.descriptor, off_t(fileBytes)) == 0 else {
        throw .system(path: file.path, action: "give \(fileBytes) bytes to", code: fileBytes <= UInt64(Int64.max) ? errno : EFBIG)
      }
      try file.synchronize()
    }
    return superblock.clusterCount * superblock.clusterBytes
  }
}
