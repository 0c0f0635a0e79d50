/// What a target permits; each is enforced where it says.
public struct TargetLimits: Equatable, Sendable {
  /// From accept to Connect, in nanoseconds (`TargetCore.tick`).
  public var handshakeNanoseconds: UInt64 = 10_000_000_000
  /// From C2HTermReq to close, in nanoseconds.
  public var terminationNanoseconds: UInt64 = 2_000_000_000
  /// How long a host may keep payload memory that others wait for without taking or sending a byte, in nanoseconds.
  public var stallNanoseconds: UInt64 = 5_000_000_000
  /// Open connections of a process; a further one is closed at accept.
  public var connections = 4096
  /// Open connections of one host address; a further one is closed at accept. A host has a connection per I/O queue and one
  /// for the admin queue, for every volume it uses.
  public var connectionsPerHost = 2048
  /// How often deadlines and keep-alive timers are looked at, in nanoseconds.
  public var tickNanoseconds: UInt64 = 250_000_000

  public init() {}
}
