import Foundation
import Nexus
import Pool

/// Which scrub is of which request.
struct ScrubKeeping {
  /// The last one that ended, of this volume on any node.
  var last: ScrubStatus?
  /// The request of which the nexus at work has begun a scrub.
  var current: (id: UUID, startedAt: Date)?
  /// What is being written down, so that it is written once.
  var ending: UUID?

  /// The nexus is gone, and its scrub with it: the next one begins anew.
  mutating func close() {
    current = nil
    ending = nil
  }

  /// The scrub under way, in the words of the status.
  func status(_ told: Scrub?) -> ScrubStatus? {
    guard let told, let current else { return nil }
    let state: ScrubStatus.State
    var failure: String?
    switch told.state {
    case .running: state = .running
    case .done: state = .done
    case .stopped: state = .stopped
    case .failed(let reason):
      state = .failed
      failure = reason
    }
    var status = ScrubStatus(id: current.id, state: state, startedAt: current.startedAt)
    status.failure = failure
    (status.bytesToDo, status.bytesDone) = (told.bytesToDo, told.bytesDone)
    (status.differingBlocks, status.repairedBlocks) = (told.differingBlocks, told.repairedBlocks)
    status.unresolved = Array(told.unresolved.prefix(ScrubStatus.maximumFindings))
    return status
  }
}

extension VolumeRunner {
  /// Begins the scrub that was asked for, unless it was done, stops it, and writes down how it ended (R20). On `queue`.
  func followScrub() {
    guard let serving, !isStopping, let told, told.state == .serving else { return }
    noteScrubEnd(serving, told)
    guard let request = assignment.orders?.scrub, scrubs.last?.id != request.id, scrubs.ending == nil else { return }
    let nexus = serving.nexus
    if request.isStopped {
      if scrubs.current?.id == request.id { return serving.reactor.call { _ in nexus.value.stopScrub() } }
      return keep(ScrubStatus(id: request.id, state: .stopped, startedAt: .now), serving)
    }
    if scrubs.current?.id == request.id { return }
    let trusted = request.trusted.map(PoolIdentifier.init)
    let isBegun = serving.reactor.call { _ in
      nexus.value.stopScrub()
      return nexus.value.startScrub(trusting: trusted)
    }
    if isBegun { scrubs.current = (request.id, .now) }
  }

  private func noteScrubEnd(_ serving: Serving, _ told: NexusReport) {
    // What the nexus tells may be of the scrub before the one that was just begun.
    guard told.scrub?.state != .running, var ended = scrubs.status(told.scrub), scrubs.ending == nil else { return }
    let nexus = serving.nexus
    guard serving.reactor.call({ _ in nexus.value.scrub }) == told.scrub else { return }
    ended.endedAt = Date(timeIntervalSince1970: Date.now.timeIntervalSince1970.rounded(.down))
    keep(ended, serving)
  }

  /// Beside the in-sync set, so that it is known wherever the nexus is next.
  private func keep(_ ended: ScrubStatus, _ serving: Serving) {
    scrubs.ending = ended.id
    let record = serving.record
    commits.async { [self] in
      let isKept = record.amend { $0.lastScrub = ended }
      queue.async { [self] in
        guard self.serving === serving, isKept else { return }
        scrubs.last = ended
        scrubs.close()
        node.log.write(
          "volume \(assignment.volumeName): scrub \(ended.state.rawValue), \(ended.differingBlocks) blocks differed, "
            + "\(ended.repairedBlocks) of them repaired")
        followScrub()
        publishReport()
      }
    }
  }
}
