import Pool

/// Why a benchmark could not begin, or could not end.
public struct BenchRunError: Error, Equatable, Sendable {
  /// A stable word for programs.
  public var code: String
  /// What was tried, on what, and why it failed.
  public var message: String
  /// What to do next; may be empty.
  public var hint: String

  public init(_ code: String, _ message: String, hint: String = "") {
    self.code = code
    self.message = message
    self.hint = hint
  }

  init(_ error: PoolError) {
    self.init(error.code, error.message, hint: error.hint.isEmpty ? "" : error.hint + ".")
  }

  static func foreignContent(of target: String, what: String) -> BenchRunError {
    BenchRunError(
      "foreign_content", "will not write to \(target): it holds \(what)",
      hint: "If its content may be lost, add --force; or only read: --rw randread.")
  }
}
