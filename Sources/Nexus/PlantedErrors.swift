extension Nexus {
  /// Errors to be planted where a simulator shall find them. Looked at where membership, logs and leases are decided, not on the path
  /// of commands.
  public struct PlantedErrors: OptionSet, Sendable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }
    /// Acknowledges what a leaving member lacks before the store knows that it leaves (R2).
    public static let acknowledgesUncommitted = PlantedErrors(rawValue: 1)
    /// Changes regions that are in no activity log (R5).
    public static let skipsActivityLog = PlantedErrors(rawValue: 2)
    /// Takes regions off the record of a returning replica that were not copied yet (R6).
    public static let clearsUncopied = PlantedErrors(rawValue: 4)
    /// Lets overlapping commands run at the same time (R9).
    public static let dropsRangeLocks = PlantedErrors(rawValue: 8)
    /// Answers reads without a valid lease (R3b).
    public static let readsWithoutLease = PlantedErrors(rawValue: 16)
    /// Drops entries of the log that a later change has entered again (R5).
    public static let dropsReentered = PlantedErrors(rawValue: 32)
    /// Does not take the regions of the log into the record of a replica that leaves (R6).
    public static let forgetsDeparted = PlantedErrors(rawValue: 64)
    /// Takes a replica that may have lost its cache for a source (R7).
    public static let trustsLostCaches = PlantedErrors(rawValue: 128)
    /// Takes replicas that hold an older claim than they accepted last at their word (R3).
    public static let trustsRolledBack = PlantedErrors(rawValue: 256)
    /// Tells the store that a snapshot is ready before the members have taken it (R15).
    public static let readyBeforeTaken = PlantedErrors(rawValue: 512)
    /// Lets changes go on while members take a snapshot (R15).
    public static let snapshotsWithoutPause = PlantedErrors(rawValue: 1024)
    /// Makes returning replicas members that lack snapshots (R4, R15).
    public static let skipsRestoring = PlantedErrors(rawValue: 2048)
    /// Begins records of missed regions with a part of them (R6).
    public static let recordsInParts = PlantedErrors(rawValue: 4096)
    /// Takes a record for made that was only asked for, and keeps what one member recorded from another that comes later (R6).
    public static let trustsUnseenRecords = PlantedErrors(rawValue: 8192)
  }
}
