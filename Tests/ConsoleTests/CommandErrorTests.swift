import Glibc
import Testing

@testable import Console

@Suite struct CommandErrorTests {
  @Test func forPeople() {
    let error = CommandError.notFound("volume_not_found", "there is no volume 'db'", hint: "See 'keelson volume list'.")
    #expect(error.text(program: "keelson") == "keelson: there is no volume 'db'\nhint: See 'keelson volume list'.\n")
    #expect(CommandError("x", "it failed").text(program: "keelson") == "keelson: it failed\n")
    #expect(error.text(program: "keelson", style: TextStyle(usesColour: true)).hasPrefix("\u{1b}[31mkeelson:\u{1b}[0m there"))
  }

  @Test func forPrograms() {
    let error = CommandError.timeout("no answer within 60 s")
    #expect(error.json.text() == #"{"error":{"code":"timeout","message":"no answer within 60 s","hint":""}}"#)
  }

  @Test func statuses() {
    #expect(ExitStatus.success.rawValue == 0)
    #expect(CommandError("x", "y").exitStatus.rawValue == 1)
    #expect(CommandError.usage("x").exitStatus.rawValue == 2)
    #expect(CommandError.notFound("x", "y").exitStatus.rawValue == 3)
    #expect(CommandError.timeout("x").exitStatus.rawValue == 4)
  }

  /// What `body` writes into a pipe that it is given the writing end of.
  private func written(_ body: (Terminal) -> Void) -> String {
    var ends: [Int32] = [0, 0]
    #expect(unsafe pipe(&ends) == 0)
    body(Terminal(fileDescriptor: ends[1]))
    close(ends[1])
    var bytes = [UInt8](repeating: 0, count: 65536)
    let count = unsafe read(ends[0], &bytes, bytes.count)
    close(ends[0])
    return String(decoding: bytes[..<max(0, count)], as: UTF8.self)
  }

  @Test func errorsGoToStandardErrorOrAsJSONToStandardOutput() {
    let error = CommandError.usage("wrong")
    for mode in OutputMode.allCases {
      var onOutput = ""
      let onErrors = written { errors in
        onOutput = written { output in
          let commandOutput = CommandOutput(program: "keelson", mode: mode, output: output, errors: errors)
          #expect(commandOutput.write(error) == .usage)
        }
      }
      #expect(onErrors == (mode == .table ? "keelson: wrong\n" : ""))
      #expect(onOutput == (mode == .json ? "{\"error\":{\"code\":\"usage\",\"message\":\"wrong\",\"hint\":\"\"}}\n" : ""))
    }
  }

  @Test func resultsAreTextOrJSON() {
    let asText = written { CommandOutput(program: "k", mode: .table, output: $0).write(json: ["a": 1]) { _ in "A\n1\n" } }
    let asJSON = written { CommandOutput(program: "k", mode: .json, output: $0).write(json: ["a": 1]) { _ in "A\n1\n" } }
    #expect(asText == "A\n1\n")
    #expect(asJSON == "{\n  \"a\": 1\n}\n")
  }

  @Test func aProgressLineIsSilentOffTheTerminal() {
    let text = written { terminal in
      var line = ProgressLine(terminal)
      line.show("50 %")
      line.clear()
    }
    #expect(text == "")
    #expect(ProgressLine.frame("abcdef", columnCount: 5) == "\rabcd\u{1b}[K")
  }

  @Test func colourNeedsATerminalThatMayShowIt() {
    #expect(Terminal.usesColour(isTerminal: true, noColour: nil, terminalType: "xterm"))
    #expect(Terminal.usesColour(isTerminal: true, noColour: "", terminalType: nil))
    #expect(!Terminal.usesColour(isTerminal: true, noColour: "1", terminalType: "xterm"))
    #expect(!Terminal.usesColour(isTerminal: false, noColour: nil, terminalType: "xterm"))
    #expect(!Terminal.usesColour(isTerminal: true, noColour: nil, terminalType: "dumb"))
  }
}
