import Console
import Foundation
import Testing

@testable import keelson

@Suite struct CompletionTests {
  /// What bash offers for the words, the last of which is being typed.
  private func offers(_ words: String...) throws -> [String] {
    let script = BashCompletion.script(for: Program.grammar)
    let list = (["keelson"] + words).map { "'\($0)'" }.joined(separator: " ")
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/bash")
    process.arguments = [
      "-c", script + "\nCOMP_WORDS=(\(list)); COMP_CWORD=\(words.count); _keelson; printf '%s\\n' \"${COMPREPLY[@]}\"",
    ]
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return String(decoding: data, as: UTF8.self).split(separator: "\n").map(String.init)
  }

  @Test func `bash completes commands, options and words`() throws {
    #expect(try offers("vol") == ["volume"])
    #expect(try offers("volume", "cr") == ["create"])
    #expect(try offers("volume", "create", "--rep") == ["--replicas"])
    #expect(try offers("volume", "create", "db", "--block-size", "") == ["512", "4096"])
    #expect(try offers("node", "dr") == ["drain"])
    #expect(try offers("node", "--topo") == ["--topology"])
    let all = try offers("")
    for command in Program.commands { #expect(all.contains(command.declaration.path[0])) }
  }
}
