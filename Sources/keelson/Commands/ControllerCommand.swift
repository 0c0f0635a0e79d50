import Console
import Control
import Glibc
import Reactor

extension Command {
  static let controller = Command(
    CommandDeclaration(
      ["controller"], summary: "run the controller: it decides where replicas, nexuses and paths are",
      details: """
        Any number may run on the same store; one leads, and another takes over when it ends. While the store is away it decides nothing, and
        goes on by itself. Runs until SIGTERM or Ctrl-C. What it has to say goes to standard error, one line per event.
        """,
      options: [
        OptionDeclaration(
          "store", .text("LOCATION"),
          help: "the state store shared by all nodes, sqlite:PATH or etcd://HOST:PORT,...; default $KEELSON_STORE"),
        OptionDeclaration("name", .text("NAME"), help: "tells it apart from others; default the machine's name"),
        graceOption,
        OptionDeclaration(
          "rebuilds", .integer(1...1000), defaultText: "16", help: "how many replicas that replace others are filled at the same time"),
      ] + CSISockets.options,
      examples: [
        .init("keelson controller --store etcd://10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379", "one of several in a cluster"),
        .init("keelson controller --store etcd://10.0.0.1:2379 --grace 30m", "nodes may be away for half an hour"),
        .init("keelson controller --store etcd://10.0.0.1:2379 --csi unix:///csi/csi.sock", "beside CSI's sidecars"),
      ])
  ) { arguments, _ in
    guard let text = arguments.text("store") ?? environmentText("KEELSON_STORE") else {
      throw CommandError.usage("no state store is named", hint: "Give --store, or set KEELSON_STORE.")
    }
    let location = try StoreAccess.location(text)
    let csi = try CSISockets(arguments)
    let policy = ControllerPolicy(
      awayGraceSeconds: graceSeconds(arguments),
      maximumBuilds: arguments.integer("rebuilds") ?? 16)
    let stopped = Rendezvous<Int>()
    Interruptions.watch { stopped.fulfil($0) }
    signal(SIGPIPE, SIG_IGN)
    let store = try location.open()
    let name = arguments.text("name") ?? machineName
    let log = NodeLog(name: name)
    let controller = Controller(store: store, name: "\(name)/\(getpid())", policy: policy) { log.write($0) }
    let sockets = try ControllerSockets(store: store, csi)
    controller.start()
    _ = stopped.wait()
    sockets?.close()
    controller.stop()
    store.close()
    return .success
  }

  static let graceOption = OptionDeclaration(
    "grace", .duration, defaultText: "10m", help: "how long a node may be away before its replicas are made anew elsewhere")

  static func graceSeconds(_ arguments: ParsedArguments) -> Double {
    Double(arguments.durationNanoseconds("grace") ?? 600_000_000_000) / 1e9
  }

  private static var machineName: String {
    var bytes = [CChar](repeating: 0, count: 256)
    guard unsafe gethostname(&bytes, 255) == 0 else { return "controller" }
    return String(decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}
