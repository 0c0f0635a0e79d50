import CSI
import Console
import Control
import Foundation
import Reactor

extension Command {
  static let dev = Command(
    CommandDeclaration(
      ["dev"], summary: "run everything on this machine: nodes with pools, and the controller",
      details: """
        Starts the nodes as processes of their own on loopback, starts one that dies again on the same port, and prints the
        line 'ready' on standard output when volumes can be created. Ctrl-C or SIGTERM ends it in good order. Volumes, pools
        and state stay in the folder: the next start goes on with them. Other commands find it through the folder.
        """,
      options: [
        StoreAccess.directoryOption,
        OptionDeclaration("nodes", .integer(1...DevOptions.maximumNodeCount), defaultText: "3", help: "how many nodes"),
        OptionDeclaration(
          "pool-size", .size, help: "each node's pool, a sparse file of this size (default 20GiB, none if there is a --pool)"),
        OptionDeclaration(
          "pool", .text("[NAME=]mem:SIZE"), isRepeated: true, help: "a volatile pool in memory for each node, to measure without a disk"),
        integrityOption,
        OptionDeclaration("port", .integer(1...65535), defaultText: "4420", help: "the first node's port; the others follow"),
        OptionDeclaration("listen", .text("ADDR"), defaultText: "127.0.0.1", help: "where nodes listen, 0.0.0.0 for everywhere"),
        OptionDeclaration("advertise", .text("ADDR"), help: "what nodes announce to hosts, if not --listen"),
        engineOption,
        graceOption,
        OptionDeclaration("reactors", .integer(1...64), defaultText: "1", help: "I/O threads of each node"),
        OptionDeclaration(
          "spin-microseconds", .integer(0...10_000), defaultText: "30", help: "how long a busy reactor looks for work before it sleeps"),
      ] + CSISockets.tcpOptions,
      examples: [
        .init("keelson dev", "three nodes, on ports 4420 to 4422"),
        .init("keelson dev --dir /srv/k --nodes 1 --pool mem:512MiB --port 5000", "one node in memory, to measure the network path"),
      ])
  ) { arguments, output in
    let options = try devOptions(arguments)
    let supervisor = DevSupervisor(options) { Terminal.standardError.write("keelson dev: \($0)\n") }
    Interruptions.watch { _ in supervisor.stop() }
    let endpoint = try CSISockets.tcp(arguments)
    var sockets: DevSockets?
    defer { sockets?.close() }
    try supervisor.run {
      sockets = DevSockets(options.directory, also: endpoint) { Terminal.standardError.write("keelson dev: \($0)\n") }
      let last = Int(options.basePort) + options.nodeCount - 1
      let ports = options.nodeCount == 1 ? "\(options.basePort)" : "\(options.basePort) to \(last)"
      Terminal.standardError.write(
        "keelson dev: \(options.nodeCount) node(s) on \(options.listenHost), port \(ports), in \(options.directory.path); Ctrl-C ends it\n")
      Terminal.standardOutput.write("ready\n")
    }
    return .success
  }

  private static func devOptions(_ arguments: ParsedArguments) throws(CommandError) -> DevOptions {
    let given = try StoreAccess.directory(arguments).path
    // Nodes get the folder on their command lines, wherever they run.
    let path = given.hasPrefix("/") ? given : FileManager.default.currentDirectoryPath + "/" + given
    if path.contains(",") { throw .usage("the folder '\(path)' has a comma in its name, and pools are separated by commas") }
    let nodeCount = arguments.integer("nodes") ?? 3
    let port = arguments.integer("port") ?? 4420
    if port + nodeCount - 1 > Int(UInt16.max) {
      throw .usage("--port \(port) leaves no room for the ports of \(nodeCount) nodes", hint: "The last port is 65535.")
    }
    let pools = try self.pools(arguments)
    for pool in pools {
      if case .memory = pool.location { continue }
      throw .usage(
        "--pool '\(pool.location)' is one file or device, but every node needs its own",
        hint: "Use --pool-size for pools in files, or --pool mem:SIZE; 'keelson node' takes any.")
    }
    let listen = try numericHost(arguments.text("listen") ?? "", option: "listen")
    var options = DevOptions(
      directory: DevDirectory(path: path), nodeCount: nodeCount,
      poolBytes: arguments.sizeBytes("pool-size") ?? (pools.isEmpty ? DevOptions.defaultPoolBytes : nil), memoryPools: pools,
      listenHost: listen, basePort: UInt16(port),
      advertiseHost: try arguments.text("advertise").map { text throws(CommandError) in try numericHost(text, option: "advertise") },
      engine: engine(arguments), reactorCount: arguments.integer("reactors") ?? 1,
      spinMicroseconds: arguments.integer("spin-microseconds") ?? 30)
    options.integrity = integrity(arguments)
    options.policy.awayGraceSeconds = graceSeconds(arguments)
    if options.integrity != .none && options.poolBytes == nil { throw noMemorySums }
    return options
  }

  private static func numericHost(_ text: String, option: String) throws(CommandError) -> String {
    let host = text.hasPrefix("[") && text.hasSuffix("]") ? String(text.dropFirst().dropLast()) : text
    guard SocketAddress(host: host, port: 1) != nil else {
      throw .usage("--\(option) '\(text)' is no numeric address", hint: "Write it without a port, as in 127.0.0.1 or ::1.")
    }
    return host
  }
}
