import Console
import Control

extension Command {
  static let poolLimit = Command(
    CommandDeclaration(
      ["pool", "limit"], summary: "limit how many replicas are placed in a pool",
      positionals: [PositionalDeclaration("NODE", help: "the pool's node"), PositionalDeclaration("NAME", help: "the pool")],
      options: [OptionDeclaration("replicas", .integer(0...100_000), help: "at most so many; without it any number")] + StoreAccess.options,
      examples: [
        .init("keelson pool limit node-2 disk --replicas 40", "those that are there stay, even if they are more"),
        .init("keelson pool limit node-2 disk", "takes the limit back"),
      ])
  ) { arguments, output in
    let (node, name) = (arguments.positional("NODE") ?? "", arguments.positional("NAME") ?? "")
    let spec = try NodeRequests.limitReplicas(arguments.integer("replicas"), node: node, pool: name, in: StoreAccess(arguments).store)
    output.write(json: [
      "node": .string(node), "name": .string(name), "replicas": spec.maximumReplicas.map { .integer(Int64($0)) } ?? .null,
    ]) { _ in
      "pool \(name) of \(node) takes \(spec.maximumReplicas.map { "at most \($0) replicas" } ?? "any number of replicas")\n"
    }
    return .success
  }
}
