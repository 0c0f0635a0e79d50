import Console
import Control
import Foundation

extension Command {
  /// A watch is made anew after so long.
  private static let watchNanoseconds: UInt64 = 3_600_000_000_000

  static let events = Command(
    CommandDeclaration(
      ["events"], summary: "what happened lately: decisions, failures, moves and rebuilds",
      details: "Events vanish about an hour after they last happened. COUNT says how often one has.",
      options: [
        OptionDeclaration("kind", .choice(Event.ObjectKind.allCases.map(\.rawValue)), help: "only those of one kind of object"),
        OptionDeclaration("name", .text("NAME"), help: "only those of one object"),
        OptionDeclaration("watch", .flag, help: "go on with new ones, until Ctrl-C; with --output json one document a line"),
      ] + StoreAccess.options,
      examples: [
        .init("keelson events", "the oldest first"),
        .init("keelson events --watch --kind volume --name db", "what happens to one volume, as it happens"),
      ])
  ) { arguments, output in
    let access = try StoreAccess(arguments)
    let kind = arguments.text("kind").flatMap(Event.ObjectKind.init(rawValue:))
    let name = arguments.text("name")
    var lastRevision: StoreRevision = 0
    /// Those written since the last call, by time.
    func news(_ mirror: StoreMirror) -> [Event] {
      let new = mirror.entries.filter { $0.modRevision > lastRevision }
      lastRevision = max(lastRevision, new.map(\.modRevision).max() ?? 0)
      return new.compactMap { try? Stored<Event>($0).object }
        .filter { (kind == nil || $0.objectKind == kind) && (name == nil || $0.object == name) }
        .sorted { ($0.lastAt, $0.firstAt, $0.key) < ($1.lastAt, $1.firstAt, $1.key) }
    }
    if !arguments.flag("watch") {
      let list = news(StoreMirror(try access.store.listAll(prefix: Keys.events)))
      output.write(json: .array(list.map(\.json)), text: list.text)
      return .success
    }
    let terminal = Terminal.standardOutput
    while true {
      let isOver = try access.store.wait(prefix: Keys.events, nanoseconds: watchNanoseconds) { mirror -> Bool? in
        for event in news(mirror) {
          let line = output.mode == .json ? event.json.text() + "\n" : event.line(terminal.style)
          if !terminal.write(line) { return true }
        }
        return nil
      }
      if isOver == true { return .success }
    }
  }
}

extension Event {
  var json: JSONValue {
    [
      "kind": .string(objectKind.rawValue), "object": .string(object), "reason": .string(reason), "message": .string(message),
      "warning": .bool(isWarning), "source": .string(source), "count": .unsigned(count),
      "first_at": .string(firstAt.formatted(.iso8601)), "last_at": .string(lastAt.formatted(.iso8601)),
    ]
  }

  private var tone: TextStyle.Tone? { isWarning ? .yellow : nil }

  /// One line for those who watch.
  func line(_ style: TextStyle) -> String {
    let text =
      "\(lastAt.formatted(.iso8601))  \(objectKind.rawValue) \(object)  \(reason)  \(message)\(count > 1 ? " (\(count) times)" : "")"
    return (tone.map { style.applied($0, to: text) } ?? text) + "\n"
  }
}

extension Collection where Element == Event {
  var text: (TextStyle) -> String {
    { style in
      if isEmpty { return "No events in the last hour.\n" }
      var table = TextTable([
        .init("last"), .init("count", .right), .init("object"), .init("reason"), .init("from"), .init("message"),
      ])
      for event in self {
        table.add([
          .init(event.lastAt.formatted(.iso8601)), .init("\(event.count)"), .init("\(event.objectKind.rawValue) \(event.object)"),
          .init(event.reason, event.isWarning ? .yellow : nil), .init(event.source), .init(event.message),
        ])
      }
      return table.text(style: style)
    }
  }
}
