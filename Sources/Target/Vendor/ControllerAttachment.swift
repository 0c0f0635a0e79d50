import NVMe
import Reactor

/// What one controller of a subsystem has behind it: its own way to the namespace, and an ear for vendor specific admin commands.
///
/// Made when an admin queue connects; lives on the subsystem's reactor, and until the last command of the controller is settled.
open class ControllerAttachment {
  /// Opcodes from here on are vendor specific (NVMe Base 2.0, 5, "Opcodes for Admin Commands"). Bits 1:0 say which way data go.
  public static let firstVendorOpcode: UInt8 = 0xC0
  /// Data of one command to the host are never more.
  public static let maximumReplyBytes = 64 << 10

  /// Who connected.
  public struct Host: Equatable, Sendable {
    public let name: QualifiedName
    public let identifier: Identifier128
  }

  /// What becomes of a vendor specific command.
  public enum Outcome: Equatable, Sendable {
    /// Dwords 0 and 1 of the completion.
    case result(UInt64)
    /// For a command that asks for data: exactly as many as it asked for.
    case data([UInt8])
    case refused(Status)
  }

  public let device: BlockDevice
  /// Ends the controller: its connections close, what runs is tracked to its end. Set while it is attached.
  public final var endController: (() -> Void)?

  public init(device: BlockDevice) { self.device = device }

  /// Executes a command; `data` came in its capsule, at most 8 KiB. `done` is called once, now or later, also after
  /// `controllerEnded`: the controller counts as settled only then.
  open func execute(_ entry: SubmissionEntry, data: [UInt8], done: @escaping (Outcome) -> Void) {
    done(.refused(Status.invalidOpcode.withDoNotRetry))
  }

  /// The controller has ended: nothing new comes. Its commands with the device are still running.
  open func controllerEnded() {}
}
