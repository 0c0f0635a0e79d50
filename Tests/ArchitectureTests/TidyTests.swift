import Foundation
import Testing

@Suite struct TidyTests {
  @Test func theTopLevelHoldsWhatItShould() throws {
    let entries = try Repository.entries(of: "").filter { !$0.hasPrefix(".") }
    #expect(entries == ["Benchmarks", "LICENSE", "Package.swift", "README.md", "Sources", "Tests", "deploy"])
  }

  @Test func noFileIsOver700Lines() throws {
    for path in try Repository.swiftFiles(in: "Sources") + Repository.swiftFiles(in: "Tests") {
      let count = try Repository.lines(of: path).count
      #expect(count <= 701, "\(path) has \(count - 1) lines: what are its two ideas?")
    }
  }

  /// Loose ends, and ways to end the process that say nothing to whoever meets them.
  @Test func sourcesHoldNoLooseEnds() throws {
    let forbidden = ["TODO", "FIXME", "fatalError(", "try!"]
    for path in try Repository.swiftFiles(in: "Sources") {
      for (index, line) in try Repository.lines(of: path).enumerated() {
        for word in forbidden where line.contains(word) {
          Issue.record("\(path):\(index + 1): \(word)")
        }
      }
    }
  }

  /// Each target takes the one list of settings, and that list asks for what the package promises.
  @Test func everyTargetHasTheStrictSettings() throws {
    let manifest = try Repository.lines(of: "Package.swift").joined(separator: "\n")
    for setting in [".strictMemorySafety()", ".treatAllWarnings(as: .error)", "swiftLanguageModes: [.v6]"] {
      #expect(manifest.contains(setting))
    }
    let declarations = manifest.components(separatedBy: "target(").dropFirst() + manifest.components(separatedBy: "Target(").dropFirst()
    #expect(declarations.count > 20)
    for declaration in declarations {
      // A declaration goes up to where the next one starts.
      let own = declaration.components(separatedBy: "\n    .")[0]
      let name = own.components(separatedBy: "\"").dropFirst().first ?? own
      #expect(own.contains("swiftSettings: settings"), "target \(name) lacks the package's settings")
    }
  }

  @Test func swiftFormatHasNothingToSay() throws {
    let linter = Process()
    linter.executableURL = URL(filePath: "/usr/bin/env")
    linter.arguments = [
      "swift", "format", "lint", "--strict", "--recursive", "--configuration", ".swift-format", "Package.swift", "Sources", "Tests",
    ]
    linter.currentDirectoryURL = Repository.root
    let output = Pipe()
    linter.standardError = output
    linter.standardOutput = output
    try linter.run()
    let findings = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    linter.waitUntilExit()
    #expect(linter.terminationStatus == 0, "\(findings)")
  }
}
