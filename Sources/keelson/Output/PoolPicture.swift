import Console
import Control
import Pool

/// A pool as `keelson pool show` draws it: read from its file or device, or as its node tells of it.
struct PoolPicture {
  /// A replica or snapshot.
  struct Item {
    var kind: String
    var id: String
    var volumeID: String
    var sizeBytes: UInt64
    var ownBytes: UInt64
    /// What its deletion would give back; nil if that was not counted.
    var uniqueBytes: UInt64?
    var sharedBytes: UInt64
  }

  var name: String
  var uuid: String
  /// Nil for a pool that was read from its file or device.
  var node: String?
  var path: String
  /// The lasting name under which its device was last opened, if it is another.
  var devicePath: String?
  var state: String
  var message: String?
  var sizeBytes: UInt64
  var freeBytes: UInt64
  var clusterBytes: UInt64
  var promisedBytes: UInt64
  var overcommitPercent: UInt32 = 0
  var regionBytes: UInt64 = 0
  var hotRegions: UInt32 = 0
  var integrity = "none"
  var items: [Item] = []
  var itemCount = 0
  var notes: [String] = []

  private var allocatedBytes: UInt64 { sizeBytes - min(sizeBytes, freeBytes) }

  init(_ summary: PoolSummary) {
    name = summary.name
    uuid = "\(summary.id)"
    path = summary.location
    devicePath = summary.devicePath.isEmpty || summary.devicePath == summary.location ? nil : summary.devicePath
    state = "offline"
    sizeBytes = summary.usage.totalBytes
    freeBytes = summary.usage.freeBytes
    clusterBytes = summary.clusterBytes
    promisedBytes = summary.usage.promisedBytes
    overcommitPercent = summary.usage.options.overcommitPercent
    regionBytes = summary.usage.options.regionBytes
    hotRegions = summary.usage.options.maximumHotRegions
    integrity = summary.integrity.rawValue
    items =
      summary.replicas.map {
        Item(
          kind: $0.isThick ? "thick replica" : "replica", id: "\($0.id)", volumeID: "\($0.volumeID)", sizeBytes: $0.sizeBytes,
          ownBytes: $0.allocatedBytes, uniqueBytes: $0.allocatedBytes, sharedBytes: $0.sharedBytes)
      }
      + summary.snapshots.map {
        Item(
          kind: "snapshot", id: "\($0.id)", volumeID: "\($0.volumeID)", sizeBytes: $0.sizeBytes, ownBytes: $0.allocatedBytes,
          uniqueBytes: $0.uniqueBytes, sharedBytes: $0.sharedBytes)
      }
    itemCount = items.count
    notes = summary.warnings
    if summary.fileBytes > summary.deviceBytes {
      notes.append(
        "\(summary.location) has \(summary.fileBytes - summary.deviceBytes) bytes more than the pool knows of: keelson pool grow")
    }
  }

  init(_ view: PoolView) {
    name = view.name
    uuid = view.uuid
    node = view.node
    path = view.path
    state = view.state
    message = view.message
    sizeBytes = view.size
    freeBytes = view.free
    clusterBytes = view.clusterSize
    if let errors = view.errors { notes.append(errors) }
    promisedBytes = view.promised
    guard let contents = view.contents else { return }
    overcommitPercent = contents.overcommitPercent
    regionBytes = contents.regionBytes
    hotRegions = contents.maximumHotRegions
    integrity = contents.integrity ?? "none"
    items = contents.items.map {
      Item(
        kind: $0.isSnapshot ? "snapshot" : "replica", id: $0.id, volumeID: $0.volumeID, sizeBytes: $0.sizeBytes, ownBytes: $0.ownBytes,
        uniqueBytes: $0.isSnapshot ? nil : $0.ownBytes, sharedBytes: $0.sharedBytes)
    }
    itemCount = contents.replicaCount + contents.snapshotCount
  }

  // MARK: For programs

  var json: JSONValue {
    let itemValues = items.map { item -> JSONValue in
      [
        "kind": .string(item.kind == "snapshot" ? "snapshot" : "replica"), "thick": .bool(item.kind == "thick replica"),
        "id": .string(item.id), "volume_id": .string(item.volumeID), "size": .unsigned(item.sizeBytes), "own": .unsigned(item.ownBytes),
        "unique": item.uniqueBytes.map { .unsigned($0) } ?? .null, "shared": .unsigned(item.sharedBytes),
      ]
    }
    var members: [JSONValue.Member] = [
      .init("name", .string(name)), .init("uuid", .string(uuid)), .init("node", node.map { .string($0) } ?? .null),
      .init("path", .string(path)), .init("state", .string(state)), .init("size", .unsigned(sizeBytes)),
      .init("allocated", .unsigned(allocatedBytes)), .init("free", .unsigned(freeBytes)), .init("cluster_size", .unsigned(clusterBytes)),
    ]
    if let devicePath { members.append(.init("device", .string(devicePath))) }
    members += [
      .init("promised", .unsigned(promisedBytes)), .init("overcommit", .unsigned(UInt64(overcommitPercent))),
      .init("region_size", .unsigned(regionBytes)), .init("hot_regions", .unsigned(UInt64(hotRegions))),
      .init("integrity", .string(integrity)),
      .init("items", .array(itemValues)), .init("item_count", .integer(Int64(itemCount))),
    ]
    if let message { members.append(.init("message", .string(message))) }
    members.append(.init("notes", .array(notes.map { .string($0) })))
    return .object(members)
  }

  // MARK: For people

  private static let barWidth = 60

  /// Taken, promised and not taken, and the rest: one character for each part of the size.
  var bar: String {
    guard sizeBytes > 0 else { return "" }
    func width(_ bytes: UInt64) -> Int {
      let exact = Double(bytes) / Double(sizeBytes) * Double(Self.barWidth)
      // What there is at all is seen.
      return min(Self.barWidth, bytes == 0 ? 0 : max(1, Int(exact.rounded())))
    }
    let taken = width(allocatedBytes)
    let promised = max(taken, width(max(promisedBytes, allocatedBytes)))
    return String(repeating: "#", count: taken) + String(repeating: "-", count: promised - taken)
      + String(repeating: ".", count: Self.barWidth - promised)
  }

  func text(_ style: TextStyle) -> String {
    let place = node.map { " on \($0)" } ?? ""
    let stateText = state == "offline" ? "used by no node" : "is \(style.applied(tone(of: state), to: state))"
    var text = "pool \(style.applied(.bold, to: name))\(place) \(state == "offline" ? "is " : "")\(stateText)"
    text += message.map { ": \($0)\n" } ?? "\n"
    text += "  id        \(uuid)\n  path      \(path)\n"
    if let devicePath { text += "  device    last opened as \(devicePath)\n" }
    text += "  size      \(ByteSize.text(sizeBytes)) in clusters of \(ByteSize.text(clusterBytes))\n"
    if regionBytes > 0 {
      text += "  promised  \(ByteSize.text(promisedBytes)), \(Self.limitText(percent: overcommitPercent, sizeBytes: sizeBytes))\n"
      text += "  regions   \(ByteSize.text(regionBytes)) each, at most \(hotRegions) hot in a replica\n"
      if integrity != "none" { text += "  integrity \(integrity) of every block, verified by reads\n" }
    }
    text += "\n  [\(bar)]\n"
    let promisedOnly = promisedBytes - min(promisedBytes, allocatedBytes)
    text += "  # \(ByteSize.text(allocatedBytes)) allocated   - \(ByteSize.text(promisedOnly)) promised and not taken"
    text += "   . free; \(ByteSize.text(freeBytes)) can be written\n"
    if promisedBytes > sizeBytes, sizeBytes > 0 {
      text +=
        "  over-committed: \(DecimalText.fixed(Double(promisedBytes) / Double(sizeBytes) * 100, decimals: 0)) % of its size is promised\n"
    }
    text += itemsText(style)
    for note in notes { text += "\(style.applied(.yellow, to: "!")) \(note)\n" }
    return text
  }

  private func itemsText(_ style: TextStyle) -> String {
    if items.isEmpty { return regionBytes == 0 ? "" : "\nNo replicas and no snapshots.\n" }
    var table = TextTable([
      .init("kind"), .init("id"), .init("volume"), .init("size", .right), .init("own", .right), .init("unique", .right),
      .init("shared", .right),
    ])
    for item in items {
      table.add([
        item.kind, item.id, item.volumeID, ByteSize.text(item.sizeBytes), ByteSize.text(item.ownBytes),
        item.uniqueBytes.map { ByteSize.text($0) } ?? "-", ByteSize.text(item.sharedBytes),
      ])
    }
    let rest = itemCount > items.count ? "and \(itemCount - items.count) more\n" : ""
    return "\n" + table.text(style: style) + rest
  }

  /// What a pool of that size may promise.
  static func limitText(percent: UInt32, sizeBytes: UInt64) -> String {
    if percent == 0 { return "without a limit" }
    let options = PoolOptions(overcommitPercent: percent, regionBytes: 1 << 20, maximumHotRegions: 1)
    return "at most \(ByteSize.text(options.promiseLimitBytes(totalBytes: sizeBytes) ?? 0)) (\(percent) % of the size)"
  }
}
