import Nexus

/// An error put into the nexus or the gates on purpose, to see that the checks find it.
public enum PlantedBug: String, CaseIterable, Sendable {
  case acknowledgesUncommitted, skipsActivityLog, clearsUncopied, dropsRangeLocks, readsWithoutLease, dropsReentered, forgetsDeparted
  case readyBeforeTaken, snapshotsWithoutPause, skipsRestoring
  case recordsInParts, trustsUnseenRecords
  case trustsLostCaches, trustsRolledBack, acceptsOldGenerations, answersBeforeSettled, forgetsLeases

  var ofNexus: Nexus.PlantedErrors {
    switch self {
    case .acknowledgesUncommitted: .acknowledgesUncommitted
    case .skipsActivityLog: .skipsActivityLog
    case .clearsUncopied: .clearsUncopied
    case .dropsRangeLocks: .dropsRangeLocks
    case .readsWithoutLease: .readsWithoutLease
    case .dropsReentered: .dropsReentered
    case .forgetsDeparted: .forgetsDeparted
    case .trustsLostCaches: .trustsLostCaches
    case .trustsRolledBack: .trustsRolledBack
    case .readyBeforeTaken: .readyBeforeTaken
    case .snapshotsWithoutPause: .snapshotsWithoutPause
    case .skipsRestoring: .skipsRestoring
    case .recordsInParts: .recordsInParts
    case .trustsUnseenRecords: .trustsUnseenRecords
    case .acceptsOldGenerations, .answersBeforeSettled, .forgetsLeases: []
    }
  }

  var ofGate: ReplicaGate.PlantedErrors {
    switch self {
    case .acceptsOldGenerations: .acceptsOldGenerations
    case .answersBeforeSettled: .answersBeforeSettled
    case .forgetsLeases: .forgetsLeases
    default: []
    }
  }
}
