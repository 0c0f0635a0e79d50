import Console
import Control
import Foundation

extension SnapshotView {
  var json: Console.JSONValue {
    var members: [Console.JSONValue.Member] = [
      .init("name", .string(name)), .init("id", .string("\(id)")), .init("volume", .string(volume)),
      .init("volume_id", .string("\(volumeID)")), .init("state", .string(state.rawValue)),
      .init("size", size.map { .unsigned($0) } ?? .null), .init("created_at", .string(createdAt.formatted(.iso8601))),
    ]
    if let takenAt { members.append(.init("taken_at", .string(takenAt.formatted(.iso8601)))) }
    if let message { members.append(.init("message", .string(message))) }
    return .object(members)
  }
}

extension Collection where Element == SnapshotView {
  var text: (TextStyle) -> String {
    { style in
      if isEmpty { return "No snapshots. Take one with: keelson snapshot create VOLUME NAME\n" }
      var table = TextTable([.init("name"), .init("volume"), .init("state"), .init("size", .right), .init("taken"), .init("id")])
      for snapshot in self {
        table.add([
          .init(snapshot.name), .init(snapshot.volume), .init(snapshot.state.rawValue, tone(of: snapshot.state.rawValue)),
          .init(snapshot.size.map { ByteSize.text($0) } ?? "-"), .init(snapshot.takenAt?.formatted(.iso8601) ?? "-"),
          .init("\(snapshot.id)"),
        ])
      }
      var text = table.text(style: style)
      for snapshot in self { if let message = snapshot.message { text += "  \(snapshot.name): \(message)\n" } }
      return text
    }
  }
}
