/// Why a command ended without doing what was asked, in a form that people and programs can read.
public struct CommandError: Error, Equatable, Sendable {
  /// A stable word for programs, such as `volume_not_found`.
  public var code: String
  /// What was tried, on what, and why it failed.
  public var message: String
  /// What to do next; empty if there is nothing to say.
  public var hint: String
  public var exitStatus: ExitStatus

  public init(_ code: String, _ message: String, hint: String = "", exitStatus: ExitStatus = .failed) {
    self.code = code
    self.message = message
    self.hint = hint
    self.exitStatus = exitStatus
  }

  public static func usage(_ message: String, hint: String = "") -> CommandError {
    CommandError("usage", message, hint: hint, exitStatus: .usage)
  }

  public static func notFound(_ code: String, _ message: String, hint: String = "") -> CommandError {
    CommandError(code, message, hint: hint, exitStatus: .notFound)
  }

  public static func timeout(_ message: String, hint: String = "") -> CommandError {
    CommandError("timeout", message, hint: hint, exitStatus: .timeout)
  }

  /// `{"error":{"code":…,"message":…,"hint":…}}`
  public var json: JSONValue {
    ["error": ["code": .string(code), "message": .string(message), "hint": .string(hint)]]
  }

  /// The lines for standard error: the sentence, and the hint on a line of its own.
  public func text(program: String, style: TextStyle = .plain) -> String {
    let sentence = "\(style.applied(.red, to: "\(program):")) \(message)\n"
    return hint.isEmpty ? sentence : sentence + "\(style.applied(.dim, to: "hint:")) \(hint)\n"
  }
}
