import Glibc
import Simulation

/// `keelson-sim --seeds N [--from S] [--seconds T]` runs seeds, `keelson-sim --seed S [--trace]` one. With `--bug NAME` the nexus or
/// the gates have that error, which the checks should find. `--sweep` crashes everywhere in a short life.
struct Options {
  var first: UInt64 = 1
  var count: UInt64 = 100
  var seconds: UInt64?
  /// Fewer seeds than this in the time given are a failure.
  var minimum: UInt64 = 0
  var isTracing = false
  var bug: PlantedBug?
  var sweeps = false

  init(_ arguments: [String]) throws(Complaint) {
    var position = 1
    while position < arguments.count {
      let name = arguments[position]
      position += 1
      if name == "--trace" {
        isTracing = true
        continue
      }
      if name == "--sweep" {
        sweeps = true
        continue
      }
      if name == "--bug" {
        guard position < arguments.count, let named = PlantedBug(rawValue: arguments[position]) else {
          throw Complaint(text: "--bug wants one of \(PlantedBug.allCases.map(\.rawValue).joined(separator: ", ")).")
        }
        bug = named
        position += 1
        continue
      }
      guard position < arguments.count, let value = UInt64(arguments[position]) else {
        throw Complaint(text: "\(name) is not an option, or its number is missing.")
      }
      position += 1
      switch name {
      case "--seeds": count = value
      case "--from": first = value
      case "--minimum": minimum = value
      case "--seconds": seconds = value
      case "--seed": (first, count) = (value, 1)
      default: throw Complaint(text: "\(name) is not an option.")
      }
    }
  }

  struct Complaint: Error { let text: String }
}

func run(_ options: Options) -> Bool {
  let deadline = options.seconds.map { time(nil) + Int($0) }
  var (seeds, events, failed) = (UInt64(0), 0, 0)
  for seed in options.first..<options.first + options.count {
    if let deadline, time(nil) >= deadline { break }
    let run = SimulationRun(seed: seed, bug: options.bug)
    if options.isTracing { run.trace { print($0) } }
    let outcome = run.run()
    seeds += 1
    events += outcome.eventCount
    if let failure = outcome.failure {
      failed += 1
      print("seed \(seed): \(failure). Again: keelson-sim --seed \(seed) --trace")
      fflush(nil)
    }
    if options.isTracing {
      print("trace \(String(outcome.traceHash, radix: 16)), \(outcome.succeededCommands) commands, \(outcome.generations) generations")
    }
  }
  print("\(seeds) seeds, \(events) events, \(failed) failed")
  if seeds < options.minimum { print("Only \(seeds) of \(options.minimum) seeds were run in the time given.") }
  return failed == 0 && seeds >= options.minimum
}

/// A crash after every event of short lives, and another during each recovery.
func sweep() -> Bool {
  var failed = 0
  for replicas in [2, 3] {
    for schedule in CrashSweep.Schedule.allCases {
      let outcome = CrashSweep(schedule, replicas: replicas).run()
      for failure in outcome.failures { print(failure) }
      print(
        "\(replicas) replicas, \(schedule): \(outcome.lives) lives with crashes at each of \(outcome.events) events, \(outcome.failures.count) failed"
      )
      fflush(nil)
      failed += outcome.failures.count
    }
  }
  return failed == 0
}

do throws(Options.Complaint) {
  let options = try Options(CommandLine.arguments)
  exit((options.sweeps ? sweep() : run(options)) ? 0 : 1)
} catch {
  print(error.text)
  print(
    "Use: keelson-sim --seeds N [--from S] [--seconds T [--minimum M]] | keelson-sim --seed S [--trace] [--bug NAME] | keelson-sim --sweep")
  exit(2)
}
