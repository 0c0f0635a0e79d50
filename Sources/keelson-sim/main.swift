import Glibc
import Simulation

/// `keelson-sim --seeds N [--from S] [--seconds T]` runs seeds, `keelson-sim --seed S [--trace]` one.
struct Options {
  var first: UInt64 = 1
  var count: UInt64 = 100
  var seconds: UInt64?
  var isTracing = false

  init(_ arguments: [String]) throws(Complaint) {
    var position = 1
    while position < arguments.count {
      let name = arguments[position]
      position += 1
      if name == "--trace" {
        isTracing = true
        continue
      }
      guard position < arguments.count, let value = UInt64(arguments[position]) else {
        throw Complaint(text: "\(name) is not an option, or its number is missing.")
      }
      position += 1
      switch name {
      case "--seeds": count = value
      case "--from": first = value
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
  var (seeds, events, failed) = (0, 0, 0)
  for seed in options.first..<options.first + options.count {
    if let deadline, time(nil) >= deadline { break }
    let run = SimulationRun(seed: seed)
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
  return failed == 0
}

do throws(Options.Complaint) {
  exit(run(try Options(CommandLine.arguments)) ? 0 : 1)
} catch {
  print(error.text)
  print("Use: keelson-sim --seeds N [--from S] [--seconds T] | keelson-sim --seed S [--trace]")
  exit(2)
}
