import Console
import Control

extension Command {
  /// A watch is made anew after so long.
  private static let watchNanoseconds: UInt64 = 3_600_000_000_000

  static let rebuildList = Command(
    CommandDeclaration(
      ["rebuild", "list"], summary: "list replicas that are being made equal, and those that were",
      details: """
        A replica that was away gets what it missed. KIND says how that is known: recorded (what was written meanwhile), compared
        (all of it, where no record is unbroken) or full (it is new). SENT is what had to be copied.
        """,
      options: [
        OptionDeclaration("volume", .text("NAME"), help: "of one volume only"),
        OptionDeclaration("watch", .flag, help: "show every change, until Ctrl-C; with --output json one document a line"),
      ] + StoreAccess.options,
      examples: [
        .init("keelson rebuild list", "what is under way, and the last ones with their causes"),
        .init("keelson rebuild list --watch", "with bars that grow"),
      ])
  ) { arguments, output in
    let access = try StoreAccess(arguments)
    let name = arguments.text("volume")
    if let name { _ = try volume(name, in: try access.cluster()) }
    func rebuilds(_ cluster: ClusterState) -> [RebuildView] {
      RebuildView.all(in: cluster).filter { name == nil || $0.volume == name }
    }
    guard arguments.flag("watch") else {
      let list = rebuilds(try access.cluster())
      output.write(json: .array(list.map(\.json)), text: list.text)
      return .success
    }
    var frame = ListFrame()
    var last: [RebuildView]?
    while true {
      let isOver = try access.wait(nanoseconds: watchNanoseconds) { cluster -> Bool? in
        let list = rebuilds(cluster)
        if list == last { return nil }
        last = list
        return frame.show(list, output.mode) ? nil : true
      }
      if isOver == true { return .success }
    }
  }
}

/// A list that is shown again and again: in place on a terminal, else one after the other.
private struct ListFrame {
  private var lineCount = 0

  /// False when nobody reads any more.
  mutating func show(_ list: [RebuildView], _ mode: OutputMode) -> Bool {
    let terminal = Terminal.standardOutput
    if mode == .json { return terminal.write(JSONValue.array(list.map(\.json)).text() + "\n") }
    let text = list.text(terminal.style)
    guard terminal.isTerminal else { return terminal.write(text) }
    let back = lineCount > 0 ? "\u{1b}[\(lineCount)A\u{1b}[J" : ""
    lineCount = text.filter { $0 == "\n" }.count
    return terminal.write(back + text)
  }
}
