import Bench
import Console
import Glibc
import Synchronization

extension Command {
  static let poolBench = Command(
    CommandDeclaration(
      ["pool", "bench"], summary: "measure what a pool makes of its disk, without a network",
      details: """
        Makes a scratch replica in a pool that no node uses, brings it into a state, measures it, and deletes it. What the pool holds
        is left alone: the replica takes free space only. The states: fresh, thin and never written; thick, all its space taken
        and zeroed; written, thin and written from end to end; snapshot, written and with a snapshot taken since; clone, a
        clone of such a snapshot. Compare with what the disk below can do: keelson bench on another file of it, or fio.
        """,
      positionals: [PositionalDeclaration("PATH", help: "the pool's device or file; no node may have it open")],
      options: [
        OptionDeclaration("state", .choice(ScratchReplica.State.allCases.map(\.rawValue)), defaultText: "fresh", help: "of the replica")
      ] + benchPlanOptions + [engineOption],
      examples: [
        .init("keelson pool bench /dev/sdb --rw randwrite --size 4GiB --runtime 5", "first writes to a thin replica"),
        .init("keelson pool bench /srv/pool.img --rw randread --size 1GiB --state clone", "reads of data that a snapshot owns"),
      ])
  ) { arguments, output in
    let plan = try benchPlan(arguments, isOverNetwork: false)
    guard let sizeBytes = plan.sizeBytes, sizeBytes > 0 else {
      throw CommandError.usage("nothing says how large the replica shall be", hint: "Give --size, for example --size 1GiB.")
    }
    let path = arguments.positional("PATH") ?? ""
    let state = arguments.text("state").flatMap(ScratchReplica.State.init(rawValue:)) ?? .fresh
    let scratch = ScratchReplica(poolPath: path, sizeBytes: sizeBytes, state: state)
    let runs = InterruptibleRuns()
    let outcome = Result {
      try scratch.prepare { source in
        let filling = BenchPlan(pattern: .write, blockBytes: 1 << 20, depth: 8, sizeBytes: sizeBytes, stopsAfterOnePass: true)
        let report = try runs.run(BenchRunner(plan: filling, source: source, target: path, engine: engine(arguments)))
        guard report.isClean else {
          throw CommandError(
            "pool_not_filled", "could not write the scratch replica in \(path) from end to end",
            hint: "The pool needs that much free space: keelson pool list, or a smaller --size.")
        }
      }
      return try runs.run(
        BenchRunner(plan: plan, source: try scratch.source(), target: "\(path) (\(state.rawValue))", engine: engine(arguments)))
    }
    try scratch.remove()
    let report = try outcome.get()
    output.write(json: report.json()) { _ in report.text() }
    return report.isClean ? .success : .failed
  }
}

/// Runs one after the other, of which Ctrl-C ends the one in progress and forbids more; the second Ctrl-C ends the program.
private final class InterruptibleRuns: Sendable {
  private struct State: Sendable {
    var runner: BenchRunner?
    var isInterrupted = false
  }

  private let state = Mutex(State())

  init() {
    Interruptions.watch { [self] count in
      if count > 1 { _exit(130) }
      let runner = state.withLock { state in
        state.isInterrupted = true
        return state.runner
      }
      runner?.drain()
    }
  }

  func run(_ runner: BenchRunner) throws -> BenchReport {
    let isInterrupted = state.withLock { state in
      state.runner = runner
      return state.isInterrupted
    }
    if isInterrupted { runner.drain() }
    defer { state.withLock { $0.runner = nil } }
    return try Command.run(runner)
  }
}
