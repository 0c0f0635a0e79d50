import Console
import Control
import Pool
import Reactor

extension Command {
  static let node = Command(
    CommandDeclaration(
      ["node"], summary: "run a storage node: pools, replicas, nexuses and the NVMe/TCP target",
      details: "Runs until SIGTERM or Ctrl-C. What it has to say goes to standard error, one line per event.",
      options: [
        OptionDeclaration("name", .text("NAME"), isRequired: true, help: "the node's name, the same in every run"),
        OptionDeclaration(
          "store", .text("LOCATION"),
          help: "the state store shared by all nodes, sqlite:PATH or etcd://HOST:PORT,...; default $KEELSON_STORE"),
        OptionDeclaration("listen", .text("ADDR:PORT"), isRequired: true, help: "where the target listens; IPv6 as [ADDR]:PORT"),
        OptionDeclaration("advertise", .text("ADDR:PORT"), help: "where hosts reach it, if not at --listen"),
        OptionDeclaration("peer", .text("ADDR:PORT"), help: "where other nodes reach it, if not at --advertise"),
        OptionDeclaration(
          "pool", .text("[NAME=]PATH|mem:SIZE"), isRepeated: true,
          help: "a pool in a file, on a disk, or volatile in memory; several with commas or several options; "
            + "drill:PATH loses what is not flushed when the node is killed, for tests only"),
        OptionDeclaration("pool-size", .size, help: "create pool files that are missing, sparse, in this size"),
        integrityOption,
        OptionDeclaration("reactors", .integer(1...64), defaultText: "1", help: "threads for I/O, one per processor at most"),
        OptionDeclaration("processors", .text("LIST"), help: "the processors of the reactors, one each: 2,3"),
        engineOption,
        OptionDeclaration(
          "spin-microseconds", .integer(0...10_000), defaultText: "30", help: "how long a busy reactor looks for work before it sleeps"),
        OptionDeclaration(
          "discovery-port", .text("PORT|none"), defaultText: "8009", help: "where discovery is also served, if the port is free"),
        OptionDeclaration(
          "topology", .text("KEY=VALUE"), isRepeated: true,
          help: "where the node stands, for placement: zone=a, rack=r1; several with commas"),
        OptionDeclaration(
          "metrics", .text("ADDR:PORT"),
          help: "serve metrics there over HTTP, for Prometheus and keelson top; port 0 takes a free one"),
        OptionDeclaration("rebuild-bandwidth", .size, help: "what rebuilds and scrubs of all volumes copy per second at most, together"),
        OptionDeclaration("stop-with-stdin", .flag, help: "end when standard input does, so that no node outlives its starter"),
      ],
      examples: [
        .init(
          "keelson node --name node-1 --store sqlite:/srv/keelson/store.db --listen 0.0.0.0:4420 --advertise 10.0.0.1:4420 --pool disk=/dev/sdb",
          "a node with a whole disk as its pool"),
        .init(
          "keelson node --name t --store sqlite:/tmp/s.db --listen 127.0.0.1:4420 --pool mem:512MiB",
          "a node to measure the network path with"),
      ])
  ) { arguments, _ in
    try NodeDaemon.run(nodeOptions(arguments), stopsWithStandardInput: arguments.flag("stop-with-stdin"))
    return .success
  }

  static let engineOption = OptionDeclaration(
    "io-engine", .choice(IOEngineChoice.allCases.map(\.rawValue)), defaultText: "auto",
    help: "the kernel's interface: auto takes io_uring where it is allowed")

  static let integrityOption = OptionDeclaration(
    "integrity", .choice(PoolIntegrity.allCases.map(\.rawValue)), defaultText: "none",
    help: "checksums of the data in pools that are made now, verified by every read")

  static func integrity(_ arguments: ParsedArguments) -> PoolIntegrity {
    arguments.text("integrity").flatMap(PoolIntegrity.init(rawValue:)) ?? .none
  }

  static func engine(_ arguments: ParsedArguments) -> IOEngineChoice {
    arguments.text("io-engine").flatMap(IOEngineChoice.init(rawValue:)) ?? .auto
  }

  private static func nodeOptions(_ arguments: ParsedArguments) throws(CommandError) -> NodeOptions {
    let name = arguments.text("name") ?? ""
    do { try Names.validate(node: name) } catch { throw CommandError(describing: error) }
    if name == Keys.controllerName { throw .usage("no node may be called '\(name)'", hint: "Choose another --name.") }
    let reactorCount = arguments.integer("reactors") ?? 1
    var processors: [Int] = []
    if let list = arguments.text("processors") {
      processors = list.split(separator: ",", omittingEmptySubsequences: false).compactMap { Int($0) }
      if processors.count != reactorCount || processors.contains(where: { !(0..<1024).contains($0) }) {
        throw .usage(
          "--processors '\(list)' does not name \(reactorCount) processors", hint: "Write as many numbers as --reactors says: 2,3.")
      }
    }
    guard let store = arguments.text("store") ?? environmentText("KEELSON_STORE") else {
      throw .usage("no state store is named", hint: "Give --store, or set KEELSON_STORE.")
    }
    let listen = try address(arguments.text("listen") ?? "", option: "listen")
    let advertise = try arguments.text("advertise").map { text throws(CommandError) in try address(text, option: "advertise") }
    var options = NodeOptions(
      name: name, store: try StoreAccess.location(store), listen: listen, advertise: advertise,
      peer: try arguments.text("peer").map { text throws(CommandError) in try address(text, option: "peer") },
      pools: try pools(arguments), reactorCount: reactorCount, engine: engine(arguments),
      spinNanoseconds: UInt64(arguments.integer("spin-microseconds") ?? 30) * 1000, discoveryPort: try discoveryPort(arguments),
      processors: processors, topology: try labels(arguments.texts("topology")))
    options.metrics = try arguments.text("metrics").map { text throws(CommandError) in try address(text, option: "metrics") }
    options.rebuildBytesPerSecond = arguments.sizeBytes("rebuild-bandwidth").flatMap { $0 == 0 ? nil : $0 }
    return options
  }

  /// Reads "KEY=VALUE" texts, each of which may be several with commas.
  static func labels(_ texts: [String]) throws(CommandError) -> [String: String] {
    var labels: [String: String] = [:]
    for text in texts.flatMap({ $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }) {
      do {
        let (key, value) = try Labels.parse(text)
        labels[key] = value
        try Labels.validate(labels)
      } catch { throw CommandError(describing: error) }
    }
    return labels
  }

  private static func address(_ text: String, option: String) throws(CommandError) -> SocketAddress {
    do {
      return try SocketAddress.resolve(text)
    } catch {
      throw .usage("--\(option) '\(text)' is no address: could not \(error)", hint: "Write ADDR:PORT, IPv6 in brackets: [::1]:4420.")
    }
  }

  private static func discoveryPort(_ arguments: ParsedArguments) throws(CommandError) -> UInt16? {
    let text = arguments.text("discovery-port") ?? "none"
    if text == "none" { return nil }
    guard let port = UInt16(text), port > 0 else { throw .usage("--discovery-port is '\(text)', but must be a port or none") }
    return port
  }

  /// All pools of the `--pool` options, each of which may name several.
  static func pools(_ arguments: ParsedArguments) throws(CommandError) -> [PoolOption] {
    let createBytes = arguments.sizeBytes("pool-size")
    var pools: [PoolOption] = []
    for text in arguments.texts("pool").flatMap({ $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }) {
      do throws(PoolOption.ParseError) {
        pools.append(try PoolOption(text, createBytes: createBytes))
      } catch {
        switch error {
        case .location(let place): throw .usage("--pool '\(place)' is no pool", hint: "Write a path, or mem:SIZE as in mem:512MiB.")
        case .name(let reason): throw .usage("--pool '\(text)': \(reason)", hint: "Name it: NAME=PATH.")
        }
      }
      pools[pools.count - 1].integrity = integrity(arguments)
      let added = pools[pools.count - 1]
      if pools.dropLast().contains(where: { $0.name == added.name }) {
        throw .usage("two pools are called '\(added.name)'", hint: "Name them apart: NAME=PATH.")
      }
    }
    if integrity(arguments) != .none, pools.allSatisfy({ if case .memory = $0.location { true } else { false } }) {
      throw Self.noMemorySums
    }
    return pools
  }

  static let noMemorySums = CommandError.usage(
    "--integrity is for pools in files and on devices; a pool in memory keeps no checksums", hint: "Leave --integrity away.")
}
