/// For whom a command writes: tables for people, JSON for programs.
public enum OutputMode: String, Sendable, CaseIterable {
  case table
  case json

  /// Every command has this option.
  public static let option = OptionDeclaration(
    "output", .choice(allCases.map(\.rawValue)), short: "o", defaultText: "table", help: "tables for people or JSON for programs")

  /// What raw arguments ask for, found without a full parse, so that even a wrong command line is answered in the asked form.
  public static func requested(in arguments: [String]) -> OutputMode {
    var result = OutputMode.table
    for (index, argument) in arguments.enumerated() {
      if argument == "--" { break }
      var value: String?
      if argument == "--output" || argument == "-o" {
        value = index + 1 < arguments.count ? arguments[index + 1] : nil
      } else if argument.hasPrefix("--output=") {
        value = String(argument.dropFirst("--output=".count))
      }
      if let value, let mode = OutputMode(rawValue: value) { result = mode }
    }
    return result
  }
}
