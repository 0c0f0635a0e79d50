/// A planned move, as the store orders it: the nexus that serves hands over, and another begins.
extension Cluster {
  /// The nexus's node hears of it if it can reach the store. It ends in order and says so; then another nexus begins. Who does not hear of that for
  /// `patienceNanoseconds` does not wait any longer, so that there may be two that believe they serve.
  func handOver(to index: Int, patienceNanoseconds: UInt64, then started: @escaping (NexusRun) -> Void = { _ in }) {
    guard let run = latest, isServed, run.process.node != index else { return }
    world.note(.nexus, run.process.node, index) { "generation \(run.generation) is told to hand over to node \(index)" }
    var isDecided = false
    let begin = { [self] in
      if isDecided { return }
      isDecided = true
      guard latest === run else { return }
      // If there is nobody any more, somebody else takes over.
      let target = nodes[index].process == nil ? nodes.first { $0.process?.isRunning == true } : nodes[index]
      if let target { startNexus(on: target.index, then: started) }
    }
    let store = store
    let delay = { [world] in world.generator.within(store.delayNanoseconds) }
    world.after(delay()) { [self] in
      guard network.isOpen(from: store.place, to: run.process.node) else { return }
      run.handOver { [self] in
        guard network.isOpen(from: run.process.node, to: store.place) else { return }
        world.after(delay(), begin)
      }
    }
    world.after(patienceNanoseconds, begin)
  }
}
