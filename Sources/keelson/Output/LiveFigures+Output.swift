import Console
import Control

extension LiveFigures {
  var json: JSONValue {
    [
      "interval_seconds": .number(seconds), "volumes": .array(volumes.map(\.json)), "nodes": .array(nodes.map(\.json)),
    ]
  }

  func text(_ style: TextStyle) -> String {
    var text = volumes.isEmpty ? "No volumes with paths.\n" : volumeTable.text(style: style)
    let reached = nodes.filter { $0.trouble == nil }
    if !reached.isEmpty { text += "\n" + Self.table(of: reached).text(style: style) }
    let troubles = nodes.compactMap { node in node.trouble.map { "! node \(node.name): \($0)" } }
    if !troubles.isEmpty { text += "\n" + troubles.map { style.applied(.yellow, to: TextTable.printable($0)) + "\n" }.joined() }
    return text
  }

  private var volumeTable: TextTable {
    var columns: [TextTable.Column] = [.init("volume"), .init("node"), .init("state")]
    columns += Self.columns
    columns += ["flush/s", "trim/s", "err/s"].map { TextTable.Column($0, .right) }
    var table = TextTable(columns)
    for volume in volumes {
      let rebuilt = volume.rebuilt.map { " \(DecimalText.fixed($0 * 100, decimals: 0))%" } ?? ""
      let isWell = volume.state == nil || volume.state == "healthy"
      var cells: [TextTable.Cell] = [
        .init(volume.name), .init(volume.node ?? "-"), .init((volume.state ?? "-") + rebuilt, isWell ? nil : .yellow),
      ]
      cells += Self.cells(volume.read, volume.write)
      cells.append(.init(DecimalText.count(volume.flushesPerSecond)))
      cells.append(.init(DecimalText.count(volume.trimsPerSecond)))
      cells.append(.init(DecimalText.count(volume.failuresPerSecond), volume.failuresPerSecond > 0 ? .red : nil))
      table.add(cells)
    }
    return table
  }

  private static func table(of nodes: [Node]) -> TextTable {
    var columns: [TextTable.Column] = [.init("node")]
    columns += Self.columns
    columns += ["replica r/s", "w/s", "r MiB/s", "w MiB/s", "connections"].map { TextTable.Column($0, .right) }
    columns.append(.init("pools free"))
    var table = TextTable(columns)
    for node in nodes {
      var cells: [TextTable.Cell] = [.init(node.name)]
      cells += Self.cells(node.read, node.write)
      cells.append(.init(DecimalText.count(node.replicaRead.commandsPerSecond)))
      cells.append(.init(DecimalText.count(node.replicaWrite.commandsPerSecond)))
      cells.append(.init(mebibytes(node.replicaRead)))
      cells.append(.init(mebibytes(node.replicaWrite)))
      cells.append(.init("\(node.hostConnections)"))
      cells.append(.init("\(ByteSize.text(node.poolFreeBytes)) of \(ByteSize.text(node.poolBytes))"))
      table.add(cells)
    }
    return table
  }

  private static let columns: [TextTable.Column] = [
    .init("r/s", .right), .init("w/s", .right), .init("r MiB/s", .right), .init("w MiB/s", .right), .init("r mean", .right),
    .init("r p99", .right), .init("w mean", .right), .init("w p99", .right),
  ]

  private static func cells(_ read: Direction, _ write: Direction) -> [TextTable.Cell] {
    [
      .init(DecimalText.count(read.commandsPerSecond)), .init(DecimalText.count(write.commandsPerSecond)), .init(mebibytes(read)),
      .init(mebibytes(write)), .init(latency(read.meanSeconds)), .init(latency(read.p99Seconds)), .init(latency(write.meanSeconds)),
      .init(latency(write.p99Seconds)),
    ]
  }

  private static func mebibytes(_ direction: Direction) -> String { DecimalText.fixed(direction.bytesPerSecond / 1_048_576, decimals: 1) }

  private static func latency(_ seconds: Double?) -> String {
    guard let seconds else { return "-" }
    return seconds.isFinite ? TimeSpan.text(nanoseconds: UInt64(max(0, min(seconds, 1e9)) * 1e9)) : "> 17 s"
  }
}

extension LiveFigures.Direction {
  /// What is beyond the last class has no number.
  fileprivate var json: JSONValue {
    func number(_ seconds: Double?) -> JSONValue { seconds.map { $0.isFinite ? .number($0) : .null } ?? .null }
    return [
      "operations_per_second": .number(commandsPerSecond), "bytes_per_second": .number(bytesPerSecond),
      "mean_seconds": number(meanSeconds), "p99_seconds": number(p99Seconds),
    ]
  }

  fileprivate var rates: JSONValue {
    ["operations_per_second": .number(commandsPerSecond), "bytes_per_second": .number(bytesPerSecond)]
  }
}

extension LiveFigures.Volume {
  fileprivate var json: JSONValue {
    [
      "name": .string(name), "node": node.map { .string($0) } ?? .null, "state": state.map { .string($0) } ?? .null,
      "rebuilt": rebuilt.map { .number($0) } ?? .null, "read": read.json, "write": write.json,
      "flushes_per_second": .number(flushesPerSecond), "trims_per_second": .number(trimsPerSecond),
      "failures_per_second": .number(failuresPerSecond),
    ]
  }
}

extension LiveFigures.Node {
  fileprivate var json: JSONValue {
    if let trouble { return ["name": .string(name), "trouble": .string(trouble)] }
    return [
      "name": .string(name), "trouble": .null, "read": read.json, "write": write.json, "replica_read": replicaRead.rates,
      "replica_write": replicaWrite.rates, "connections": .unsigned(UInt64(hostConnections)), "pool_bytes": .unsigned(poolBytes),
      "pool_free_bytes": .unsigned(poolFreeBytes),
    ]
  }
}
