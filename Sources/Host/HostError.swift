import NVMe
import Reactor

/// Why a controller could not be connected to, or was lost.
public struct HostError: Error, Equatable, Sendable, CustomStringConvertible {
  public enum Reason: Error, Equatable, Sendable {
    /// The socket's errno.
    case connectionFailed(code: Int32)
    case closedByController
    /// The controller sent a termination request: FES and FEI.
    case terminatedByController(statusCode: UInt16, information: UInt32)
    /// What the controller did against the specification.
    case protocolViolation(String)
    /// What was waited for in vain.
    case timeout(String)
    /// A command of ours was answered with an error.
    case refused(command: String, status: Status)
    /// The controller or namespace lacks or has something we cannot serve.
    case unsupported(String)
    /// No active namespace, or not the one asked for.
    case namespaceMissing(UInt32?)
    /// After a reconnect the namespace is another one, or smaller.
    case namespaceReplaced
    /// The namespace's ANA state says that it cannot be used here, and there are other addresses.
    case inaccessible
    /// `close` was called.
    case closed
  }

  public let reason: Reason
  public let address: SocketAddress
  public let subsystem: QualifiedName

  public init(_ reason: Reason, address: SocketAddress, subsystem: QualifiedName) {
    self.reason = reason
    self.address = address
    self.subsystem = subsystem
  }

  public var description: String { "connection to subsystem \(subsystem) at \(address): \(sentence)" }

  /// Why, without whereto.
  public var sentence: String {
    switch reason {
    case .connectionFailed(let code): "\(SystemError.message(code)); is a target listening there?"
    case .closedByController: "the controller closed the connection"
    case .terminatedByController(let statusCode, let information):
      "the controller ended the connection with fatal error status \(statusCode), information \(information)"
    case .protocolViolation(let what): "the controller broke the protocol: \(what)"
    case .timeout(let what): "no answer in time to \(what)"
    case .refused(let command, let status):
      command == "Connect" && status.matches(.connectInvalidHost)
        ? "the controller refused this host: \(status); allow the host's NQN on the subsystem"
        : "the controller refused \(command): \(status)"
    case .unsupported(let what): what
    case .namespaceMissing(let identifier):
      identifier.map { "the subsystem has no active namespace \($0)" } ?? "the subsystem has no active namespace"
    case .namespaceReplaced: "the namespace is not the one that was connected before"
    case .inaccessible: "the namespace cannot be used through this path now"
    case .closed: "closed"
    }
  }
}
