import Console
import Control

extension Command {
  static let volumeExplain = Command(
    CommandDeclaration(
      ["volume", "explain"], summary: "say in plain words why a volume is healthy, degraded or blocked, and what helps",
      positionals: [PositionalDeclaration("NAME", help: "the volume")], options: StoreAccess.options,
      examples: [.init("keelson volume explain db", "what is wrong, what is under way, what happens next, and what to do")])
  ) { arguments, output in
    let access = try StoreAccess(arguments)
    let cluster = try access.cluster()
    let name = arguments.positional("NAME") ?? ""
    _ = try volume(name, in: cluster)
    guard let spec = cluster.volume(name: name) else { throw CommandError.volumeNotFound(name) }
    var explanation = VolumeExplanation(spec.object, in: cluster)
    if let directory = access.directory, directory.runningProcess() == nil, cluster.nodes.isEmpty {
      explanation.why.insert("keelson dev does not run", at: 0)
      explanation.help = "Start it with: keelson dev --dir \(directory.path)"
    }
    output.write(json: explanation.json, text: explanation.text)
    return .success
  }
}
