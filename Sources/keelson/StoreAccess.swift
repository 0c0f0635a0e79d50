import Console
import Control
import Glibc

/// How commands find the state store: `--store`, `KEELSON_STORE`, else the store of a `keelson dev`.
struct StoreAccess {
  static let options = [
    OptionDeclaration(
      "store", .text("LOCATION"),
      help: "the state store, sqlite:PATH or etcd://HOST:PORT,...; default $KEELSON_STORE, else the store of keelson dev in --dir"),
    directoryOption,
  ]

  static let directoryOption = OptionDeclaration(
    "dir", .text("DIR"), help: "the folder of keelson dev; default $KEELSON_DIR, else ~/.keelson/dev")

  let store: any StateStore
  /// The folder of the `keelson dev` that the store belongs to, if it was found through one.
  let directory: DevDirectory?
  /// Whether it is more than one machine's.
  let isCluster: Bool

  /// Opens the store that the arguments and the environment name. It must be there already.
  init(_ arguments: ParsedArguments) throws {
    let location: StoreLocation
    if !arguments.isGiven("dir"), let text = arguments.text("store") ?? environmentText("KEELSON_STORE") {
      location = try Self.location(text)
      directory = nil
      if case .sqlite(let path) = location, unsafe access(path, F_OK) != 0 {
        throw CommandError("store_not_found", "there is no state store \(path)", hint: "Check the path, or start the nodes that use it.")
      }
    } else {
      if arguments.isGiven("store") { throw CommandError.usage("--store and --dir both name a store", hint: "Give one of them.") }
      let directory = try Self.directory(arguments)
      guard unsafe access(directory.storePath, F_OK) == 0 else {
        throw CommandError(
          "dev_not_found", "no keelson dev has been started in \(directory.path)",
          hint: "Start one with: keelson dev --dir \(directory.path); or name its folder with --dir or KEELSON_DIR.")
      }
      location = .sqlite(path: directory.storePath)
      self.directory = directory
    }
    if case .sqlite = location { isCluster = false } else { isCluster = true }
    store = try location.open()
  }

  static func location(_ text: String) throws(CommandError) -> StoreLocation {
    guard let location = StoreLocation(text) else {
      throw .usage("'\(text)' names no state store", hint: "Write sqlite:PATH or etcd://HOST:PORT,HOST:PORT.")
    }
    return location
  }

  /// The folder that `--dir`, `KEELSON_DIR` or the home names.
  static func directory(_ arguments: ParsedArguments) throws(CommandError) -> DevDirectory {
    if let path = arguments.text("dir") {
      if path.isEmpty { throw .usage("--dir is empty") }
      return DevDirectory(path: path)
    }
    guard let directory = DevDirectory.standard(environment: environmentText) else {
      throw .usage("neither KEELSON_DIR nor HOME says where keelson dev lives", hint: "Give --dir DIR.")
    }
    return directory
  }

  /// Throws if the store belongs to a `keelson dev` that does not run: nothing would come of what is asked.
  func requireRunning(_ what: String) throws(CommandError) {
    guard let directory, directory.runningProcess() == nil else { return }
    throw CommandError(
      "dev_not_running", "could not \(what): keelson dev does not run in \(directory.path)",
      hint: "Start it with: keelson dev --dir \(directory.path)")
  }

  /// What is there now.
  func cluster() throws -> ClusterState { ClusterState(try store.listAll(prefix: "").entries) }

  /// Waits, by watching the store, until `condition` gives a value; nil once the time is over.
  func wait<Value>(nanoseconds: UInt64, until condition: (ClusterState) throws -> Value?) throws -> Value? {
    try store.wait(nanoseconds: nanoseconds) { try condition(ClusterState($0.entries)) }
  }
}

/// The value of an environment variable; nil if it is absent or empty.
func environmentText(_ name: String) -> String? {
  guard let value = unsafe getenv(name) else { return nil }
  let text = unsafe String(cString: value)
  return text.isEmpty ? nil : text
}
