import Dispatch
import Nexus

/// What becomes of a nexus when its assignment changes: other hosts, other paths, another node.
extension VolumeRunner {
  /// How long a nexus that stopped for another node waits for that to take over before it serves again.
  static let handOverPatienceSeconds = 15.0

  /// The assignment as the store has it now.
  func update(_ new: NexusAssignment) {
    path.setOtherPaths(new.otherPaths ?? [])
    path.admit(new.publications) { [self] in queue.async { self.publishHosts() } }
    queue.async { [self] in
      if isStopping { return }
      assignment.publications = new.publications
      assignment.otherPaths = new.otherPaths
      assignment.snapshots = new.snapshots
      assignment.wantedSizeBytes = new.wantedSizeBytes
      tend()
      publishReport()
      let isNews = assignment.handsOver != new.handsOver
      assignment.handsOver = new.handsOver
      if isNews { new.handsOver == true ? handOver() : takeBack() }
      follow(new)
    }
  }

  /// Makes way for another node: what may differ is made durable first, while hosts are still served; then the path says Inaccessible, what is
  /// under way ends, claims and leases are given back, and only then is it told.
  func handOver() {
    guard !hasHandedOver else { return }
    if let serving {
      let nexus = serving.nexus
      _ = serving.reactor.callAsynchronously { (_, done: @escaping @Sendable (Bool) -> Void) in
        nexus.value.prepareShutDown { done(true) }
      }
    }
    hasHandedOver = true
    let generation = serving?.record.generation
    tearDown(isInOrder: true)
    publish(.starting, "it is handed over to another node")
    node.log.write("volume \(assignment.volumeName): handed over\(generation.map { " in generation \($0)" } ?? "")")
    queue.asyncAfter(deadline: .now() + Self.handOverPatienceSeconds) { [self] in
      guard hasHandedOver, !isStopping else { return }
      // The controller or the store may be away: hosts come first. Later it is tried again.
      ignoresHandOver = true
      takeBack()
      queue.asyncAfter(deadline: .now() + 2 * Self.handOverPatienceSeconds) { [self] in
        ignoresHandOver = false
        if assignment.handsOver == true, !isStopping { handOver() }
      }
    }
  }

  /// Nobody took over.
  func takeBack() {
    guard hasHandedOver, !isStopping else { return }
    hasHandedOver = false
    publish(.starting, "nobody took it over")
    attempt()
  }
}
