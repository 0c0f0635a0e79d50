import Console

extension Command {
  static let version = Command(
    CommandDeclaration(["version"], summary: "say which version this is")
  ) { _, output in
    output.write(json: ["name": .string(Program.name), "version": .string(Program.version)]) { _ in "\(Program.name) \(Program.version)\n" }
    return .success
  }
}
