/// Where a command's results and errors go, in the asked form.
public struct CommandOutput: Sendable {
  public let program: String
  public let mode: OutputMode
  let output: Terminal
  let errors: Terminal

  public init(program: String, mode: OutputMode, output: Terminal = .standardOutput, errors: Terminal = .standardError) {
    self.program = program
    self.mode = mode
    self.output = output
    self.errors = errors
  }

  /// Writes the JSON, or the text, on standard output.
  public func write(json: @autoclosure () -> JSONValue, text: (TextStyle) -> String) {
    switch mode {
    case .json: output.write(json().text(indented: true) + "\n")
    case .table: output.write(text(output.style))
    }
  }

  /// Writes an error: a sentence on standard error, or JSON on standard output. Returns the status to exit with.
  public func write(_ error: CommandError) -> ExitStatus {
    switch mode {
    case .json: output.write(error.json.text() + "\n")
    case .table: errors.write(error.text(program: program, style: errors.style))
    }
    return error.exitStatus
  }
}
