import Bench
import Console
import Control
import Glibc
import NVMe
import Reactor

extension Command {
  /// What every benchmark can be told.
  static let benchPlanOptions: [OptionDeclaration] = [
    OptionDeclaration("rw", .choice(BenchPlan.Pattern.allCases.map(\.rawValue)), defaultText: "randread", help: "the pattern"),
    OptionDeclaration("rwmix", .integer(0...100), defaultText: "70", help: "with randrw: how many of 100 requests read"),
    OptionDeclaration("bs", .size, defaultText: "4k", help: "bytes per request, at most 1 MiB"),
    OptionDeclaration("iodepth", .integer(1...BenchPlan.maximumDepth), defaultText: "32", help: "requests in flight per job"),
    OptionDeclaration(
      "jobs", .integer(1...BenchPlan.maximumJobCount), defaultText: "1",
      help: "parts of the target worked on at once, on threads of their own"),
    OptionDeclaration("runtime", .duration, help: "how long to measure (default 10s)"),
    OptionDeclaration("size", .size, help: "how much of the target to use, from its beginning; by default all"),
    OptionDeclaration("one-pass", .flag, help: "end when as many bytes were moved as --size has, or --runtime is over if it is given"),
    OptionDeclaration("verify", .flag, help: "prove that every block read back is the one last written"),
    OptionDeclaration("fua", .flag, help: "writes are durable before they complete"),
    OptionDeclaration("flush-every", .integer(0...1_000_000), defaultText: "0", help: "flush after so many writes of a job"),
    OptionDeclaration("seed", .integer(0...Int.max), help: "repeat the offsets of another run"),
  ]

  static let bench = Command(
    CommandDeclaration(
      ["bench"], summary: "measure and verify a volume, an NVMe/TCP subsystem, a file or a device",
      details: """
        Works without root and without kernel modules: it speaks NVMe/TCP itself, to any target.
        A pattern that writes destroys what the target held. A file or device with data needs --force, and so does a volume
        or subsystem with a file system or partition table; a file that is missing is created with --size. --verify writes blocks that describe themselves, reads every one of them back, and proves that
        each is the one written last. Ctrl-C ends the run early; what was written until then is still verified.
        Over the network, a connection that is lost is made again for up to 30 s, and what was in flight is sent again.
        """,
      positionals: [
        PositionalDeclaration("TARGET", help: "a volume's name, nvme-tcp://HOST:PORT/SUBNQN, or a path (with a slash: ./file)")
      ],
      options: benchPlanOptions + [
        OptionDeclaration("force", .flag, help: "write over data"),
        OptionDeclaration("queues", .integer(1...64), defaultText: "1", help: "NVMe/TCP: I/O queues per job"),
        OptionDeclaration("digests", .flag, help: "NVMe/TCP: header and data digests"),
        OptionDeclaration("host-nqn", .text("NQN"), help: "NVMe/TCP: the host name to connect under"),
        engineOption,
      ] + StoreAccess.options,
      examples: [
        .init("keelson bench db --rw randwrite --verify --size 256MiB --runtime 5", "is everything that a volume acknowledged there?"),
        .init("keelson bench ./file --rw randread --size 2GiB --iodepth 32", "what the disk below can do"),
        .init(
          "keelson bench nvme-tcp://10.0.0.1:4420/nqn.2024-01.io.example:vol --rw randrw --rwmix 70 --output json",
          "any NVMe/TCP target, for programs: fio's field names"),
      ])
  ) { arguments, output in
    let target = try BenchTarget.parse(arguments.positional("TARGET") ?? "")
    var isOverNetwork = true
    if case .path = target { isOverNetwork = false }
    let plan = try benchPlan(arguments, isOverNetwork: isOverNetwork)
    let runner = BenchRunner(
      plan: plan, source: try benchSource(target, plan, arguments), target: arguments.positional("TARGET") ?? "", engine: engine(arguments))
    Interruptions.watch { count in
      if count > 1 { _exit(130) }
      runner.drain()
    }
    let report = try run(runner)
    output.write(json: report.json()) { _ in report.text() }
    return report.isClean ? .success : .failed
  }

  /// Runs to the end and shows how far it is.
  static func run(_ runner: BenchRunner) throws(BenchRunError) -> BenchReport {
    var progress = ProgressLine()
    let processorCount = Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    let report = try runner.run(processorCount: processorCount) { sample, elapsedNanoseconds in
      progress.show(sample.text(elapsedNanoseconds: elapsedNanoseconds, runtimeNanoseconds: runner.plan.runtimeNanoseconds))
    }
    progress.clear()
    return report
  }

  /// A volume's node may die and come back during a run. Hosts wait for it, and so does a benchmark, for this long.
  private static let reconnectNanoseconds: UInt64 = 30_000_000_000

  /// What the options ask for, refused before the target is looked at if it makes no sense with any.
  static func benchPlan(_ arguments: ParsedArguments, isOverNetwork: Bool) throws(CommandError) -> BenchPlan {
    let stopsAfterOnePass = arguments.flag("one-pass")
    let pattern = arguments.text("rw").flatMap(BenchPlan.Pattern.init(rawValue:)) ?? .randread
    let verify = arguments.flag("verify")
    let plan = BenchPlan(
      pattern: pattern, readPercent: arguments.integer("rwmix") ?? 70, blockBytes: arguments.sizeBytes("bs") ?? 4096,
      depth: arguments.integer("iodepth") ?? 32, jobCount: arguments.integer("jobs") ?? 1,
      runtimeNanoseconds: arguments.durationNanoseconds("runtime") ?? (stopsAfterOnePass ? nil : 10_000_000_000),
      sizeBytes: arguments.sizeBytes("size"), stopsAfterOnePass: stopsAfterOnePass, verify: verify,
      seed: arguments.integer("seed").map { UInt64($0) } ?? UInt64.random(in: 0...UInt64(Int.max)), forceUnitAccess: arguments.flag("fua"),
      flushEveryWrites: UInt32(arguments.integer("flush-every") ?? 0), flushAtEnd: verify && pattern.writes,
      reconnectNanoseconds: isOverNetwork ? reconnectNanoseconds : 0)
    do throws(BenchPlanError) { try plan.check() } catch { throw CommandError.usage(error.message, hint: error.hint) }
    return plan
  }

  private static func benchSource(_ target: BenchTarget, _ plan: BenchPlan, _ arguments: ParsedArguments) throws -> BenchSource {
    switch target {
    case .path(let path): return try BenchSource.file(path: path, plan: plan, force: arguments.flag("force"))
    case .nvmeTCP(let host, let port, let subsystemNQN):
      guard let name = QualifiedName(subsystemNQN) else {
        throw CommandError.usage("'\(subsystemNQN)' is not a subsystem's NQN", hint: "An NQN begins with 'nqn.'.")
      }
      return try subsystem(at: [host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"], name, arguments)
    case .volume(let volumeName):
      let access: StoreAccess
      let cluster: ClusterState
      let view: VolumeView
      do {
        access = try StoreAccess(arguments)
        cluster = try access.cluster()
        view = try volume(volumeName, in: cluster)
      } catch let error as CommandError where unsafe Glibc.access(volumeName, F_OK) == 0 {
        throw CommandError(
          error.code, error.message, hint: "There is a file of that name; write it with a slash: ./\(volumeName)",
          exitStatus: error.exitStatus)
      }
      // The last address of a node is the one that its peers, on this side of any gateway, use.
      guard let path = view.paths.last(where: { $0.anaState == "optimized" }), let name = QualifiedName(path.subnqn) else {
        throw CommandError(
          "volume_not_served",
          "could not measure volume \(volumeName): it is \(view.state.rawValue)\(view.message.map { ": \($0)" } ?? "")",
          hint: "See: keelson volume show \(volumeName)")
      }
      // Where a node's death may take it meanwhile.
      let others = cluster.pathAssignments(of: view.id).compactMap { cluster.node($0.node)?.addresses.last?.place }
      return try subsystem(at: [path.place] + others, name, arguments)
    }
  }

  private static func subsystem(at places: [String], _ name: QualifiedName, _ arguments: ParsedArguments) throws -> BenchSource {
    let addresses: [SocketAddress]
    do { addresses = try places.map { try SocketAddress.resolve($0) } } catch {
      throw CommandError("address_unknown", "could not \(error)", hint: "Write nvme-tcp://HOST:PORT/SUBNQN.")
    }
    var hostName: QualifiedName?
    if let text = arguments.text("host-nqn") {
      hostName = QualifiedName(text)
      if hostName == nil { throw CommandError.usage("--host-nqn '\(text)' is not an NQN", hint: "An NQN begins with 'nqn.'.") }
    }
    return .subsystem(
      BenchSubsystem(
        addresses: addresses, name: name, hostName: hostName, queueCount: arguments.integer("queues") ?? 1,
        usesDigests: arguments.flag("digests"), mayOverwriteContent: arguments.flag("force")))
  }
}
