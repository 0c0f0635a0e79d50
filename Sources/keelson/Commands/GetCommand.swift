import Console
import Control

extension Command {
  static let get = Command(
    CommandDeclaration(
      ["get"], summary: "show objects as the state store has them: what is wanted and what is",
      details: "For programs and for a close look: all fields, those of later versions included. KIND is one of: "
        + ObjectListing.Kind.allCases.map(\.rawValue).joined(separator: ", ") + ".",
      positionals: [
        PositionalDeclaration("KIND", help: "volume, node, pool, replica, snapshot or event"),
        PositionalDeclaration("NAME", .optional, help: "one object; a pool is NODE/NAME, a replica its id; default all"),
      ], options: StoreAccess.options,
      examples: [
        .init("keelson get volume db --output json", "specification, assignment, in-sync set and status"),
        .init("keelson get node", "all nodes, one line each"),
      ])
  ) { arguments, output in
    let text = arguments.positional("KIND") ?? ""
    guard let kind = ObjectListing.Kind(rawValue: text.hasSuffix("s") ? String(text.dropLast()) : text) else {
      throw CommandError.usage(
        "'\(text)' is no kind of object", hint: "Kinds are: \(ObjectListing.Kind.allCases.map(\.rawValue).joined(separator: ", ")).")
    }
    let objects = ObjectListing.objects(kind, in: try StoreAccess(arguments).store.listAll(prefix: "").entries)
    if let name = arguments.positional("NAME") {
      guard let object = objects.first(where: { $0.name == name }) else {
        throw CommandError.notFound(
          "\(kind.rawValue)_not_found", "there is no \(kind.rawValue) \(name)", hint: "See all with: keelson get \(kind.rawValue)")
      }
      output.write(json: object.json) { _ in object.json.text(indented: true) + "\n" }
      return .success
    }
    output.write(json: .array(objects.map(\.json))) { style in
      if objects.isEmpty { return "No \(kind.rawValue)s.\n" }
      var table = TextTable([.init("name"), .init("parts")])
      for object in objects { table.add([object.name, object.parts.map(\.name).joined(separator: ", ")]) }
      return table.text(style: style)
    }
    return .success
  }
}

extension ObjectListing.Object {
  var json: JSONValue {
    .object([.init("name", .string(name))] + parts.map { .init($0.name, (try? JSONParser.parse(Array($0.value))) ?? .null) })
  }
}
