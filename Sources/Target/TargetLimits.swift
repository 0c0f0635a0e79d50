/// What a target permits; each is enforced where it says.
public enum TargetLimits {
  /// From accept to Connect (`TargetCore.tick`).
  static let handshakeNanoseconds: UInt64 = 10_000_000_000
  /// From C2HTermReq to close.
  static let terminationNanoseconds: UInt64 = 2_000_000_000
  /// A Connect waits this long for the same host's older commands to end (R12), then it is told "controller busy".
  static let settleNanoseconds: UInt64 = 20_000_000_000
  /// Open connections of a process; a further one is closed at accept.
  public static let connections = 4096
  /// Open connections of one host address; a further one is closed at accept. A host has a connection per I/O queue and one
  /// for the admin queue, for every volume it uses.
  public static let connectionsPerHost = 2048
  /// How often deadlines and keep-alive timers are looked at.
  static let tickNanoseconds: UInt64 = 250_000_000
}
