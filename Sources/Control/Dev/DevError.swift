import Reactor

/// Why `keelson dev` could not run.
public enum DevError: Error, Equatable, Sendable {
  /// Another one runs in the folder; its process id is 0 if that could not be read.
  case alreadyRunning(path: String, processID: Int32)
  case portTaken(address: String, node: String)
  /// The address does not belong to this machine, or the port needs more rights.
  case cannotListen(address: String, node: String, code: Int32)
  /// The node ended again and again before it was ready.
  case nodeFails(name: String, reason: String, logPath: String)
  case notReady(waitedSeconds: UInt64, missing: String)
  case system(action: String, code: Int32)

  /// A stable word for programs.
  public var code: String {
    switch self {
    case .alreadyRunning: "dev_already_running"
    case .portTaken: "port_taken"
    case .cannotListen: "cannot_listen"
    case .nodeFails: "node_fails"
    case .notReady: "not_ready"
    case .system: "system_error"
    }
  }

  /// What was tried, on what, and why it failed.
  public var message: String {
    switch self {
    case .alreadyRunning(let path, let processID):
      "keelson dev runs in \(path) already" + (processID > 0 ? " (process \(processID))" : "")
    case .portTaken(let address, let node): "\(node) cannot listen on \(address): another program does"
    case .cannotListen(let address, let node, let code): "\(node) cannot listen on \(address): \(SystemError.message(code))"
    case .nodeFails(let name, let reason, let logPath): "\(name) does not start: it \(reason); its log is \(logPath)"
    case .notReady(let seconds, let missing): "not ready after \(seconds) s: \(missing)"
    case .system(let action, let code): "could not \(action): \(SystemError.message(code))"
    }
  }

  /// What to do next; may be empty.
  public var hint: String {
    switch self {
    case .alreadyRunning(_, let processID):
      processID > 0
        ? "Use it as it is, stop it with: kill \(processID), or name another folder with --dir and other ports with --port."
        : "Use it as it is, or name another folder with --dir and other ports with --port."
    case .portTaken: "Name other ports with --port BASE, or see who listens with: ss -ltnp."
    case .cannotListen: "Name other ports with --port BASE."
    case .nodeFails: "Read the end of the log."
    case .notReady: "Read the logs in the folder's logs."
    case .system: ""
    }
  }
}
