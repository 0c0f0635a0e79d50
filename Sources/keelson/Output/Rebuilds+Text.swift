import Console
import Control
import Foundation

extension RebuildStatus {
  /// How far it is: "[#######.............]  35 %".
  func bar(width: Int = 20) -> String {
    let filled = Int((fraction * Double(width)).rounded(.down))
    let percent = "\(Int(fraction * 100)) %"
    return "[" + String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled) + "]"
      + String(repeating: " ", count: max(1, 6 - percent.count)) + percent
  }

  /// What is left, or how long it took, or why it ended.
  fileprivate var remark: String {
    switch state {
    case .running: return secondsLeft.map { "\($0) s left" } ?? "-"
    case .paused: return "-"
    case .done: return endedAt.map { "took \(Int($0.timeIntervalSince(startedAt))) s" } ?? "-"
    case .failed: return failure ?? "-"
    }
  }
}

extension Collection where Element == RebuildView {
  var text: (TextStyle) -> String {
    { style in
      if isEmpty { return "No rebuilds: every replica that was away is back in sync, or still away.\n" }
      var table = TextTable([
        .init("volume"), .init("node"), .init("state"), .init("progress"), .init("to do", .right), .init("sent", .right),
        .init("rate", .right), .init("kind"), .init("remark"), .init("cause"),
      ])
      for view in self {
        let rebuild = view.rebuild
        table.add([
          .init(view.volume), .init(rebuild.node), .init(rebuild.state.rawValue, tone(of: rebuild.state.rawValue)), .init(rebuild.bar()),
          .init(ByteSize.text(rebuild.bytesToDo)), .init(ByteSize.text(rebuild.bytesSent)),
          .init(rebuild.bytesPerSecond == 0 ? "-" : ByteSize.text(rebuild.bytesPerSecond) + "/s"), .init(rebuild.kind.rawValue),
          .init(rebuild.remark), .init(rebuild.cause),
        ])
      }
      var notes = ""
      var seen: [String] = []
      for view in self where !seen.contains(view.volume) {
        seen.append(view.volume)
        if view.policy?.isPaused == true { notes += "Rebuilds of \(view.volume) are paused: keelson rebuild resume \(view.volume)\n" }
        if let limit = view.policy?.bytesPerSecond {
          notes += "Rebuilds of \(view.volume) copy at most \(ByteSize.text(limit)) per second.\n"
        }
      }
      return table.text(style: style) + notes
    }
  }
}

extension VolumeExplanation {
  func text(_ style: TextStyle) -> String {
    let state = volume.state.rawValue
    var text = "volume \(style.applied(.bold, to: volume.name)) is \(style.applied(tone(of: state), to: state))\n"
    for (title, sentences) in [("because", why), ("under way", running), ("what happens next", next)] where !sentences.isEmpty {
      text += "\n\(title):\n" + sentences.map { "  - \($0)\n" }.joined()
    }
    return text + "\n" + (help ?? "Nothing needs to be done.") + "\n"
  }
}
