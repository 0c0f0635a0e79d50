import Console
import Pool

extension PoolCheckReport {
  var json: JSONValue {
    let findingValues = findings.map { finding -> JSONValue in
      [
        "severity": .string(finding.severity.rawValue), "offset": finding.offsetBytes.map { .unsigned($0) } ?? .null,
        "text": .string(finding.text),
      ]
    }
    return [
      "path": .string(location), "name": name.map { .string($0) } ?? .null, "uuid": id.map { .string("\($0)") } ?? .null,
      "sound": .bool(isSound), "can_be_opened": .bool(canBeOpened), "findings": .array(findingValues),
      "unlisted_findings": .integer(Int64(unlistedFindings)), "revision": .unsigned(revision),
      "checkpoint": checkpointNumber.map { .unsigned($0) } ?? .null,
      "journal": [
        "records": .integer(Int64(journal.recordCount)), "entries": .integer(Int64(journal.entryCount)),
        "next_sequence": .unsigned(journal.nextSequence),
      ],
      "replicas": .integer(Int64(state.replicaCount)), "snapshots": .integer(Int64(state.snapshotCount)),
      "layers": .integer(Int64(state.layerCount)), "allocated": .unsigned(UInt64(state.allocatedClusters) * clusterBytes),
    ]
  }

  func text(_ style: TextStyle) -> String {
    var text = ""
    if let name, let id {
      text += "pool \(style.applied(.bold, to: name)) in \(location)\n"
      text += "  superblock  revision \(revision), \(id)\n"
      text += "  clusters    \(clusterCount) of \(ByteSize.text(clusterBytes)); \(state.allocatedClusters) allocated, "
      text += "\(ByteSize.text(state.dataBlocks * 4096)) of data\n"
      text += "  checkpoint  \(checkpointNumber.map { "\($0)" } ?? "none that is whole")\n"
      text += "  journal     \(journal.recordCount) record(s) with \(journal.entryCount) change(s) behind it"
      text += ", the next is \(journal.nextSequence)\n"
      text += "  contents    \(state.replicaCount) replica(s), \(state.snapshotCount) snapshot(s), \(state.layerCount) layer(s)\n\n"
    }
    for finding in findings {
      let (mark, tone): (String, TextStyle.Tone) =
        switch finding.severity {
        case .note: ("note", .dim)
        case .recoverable: ("recoverable", .yellow)
        case .damage: ("DAMAGE", .red)
        }
      let place = finding.offsetBytes.map { " at offset \($0)" } ?? ""
      text += "\(style.applied(tone, to: mark))\(place): \(finding.text)\n"
    }
    if unlistedFindings > 0 { text += "and \(unlistedFindings) more\n" }
    return text + verdict(style) + "\n"
  }

  private func verdict(_ style: TextStyle) -> String {
    if isSound { return style.applied(.green, to: "The pool is sound.") }
    if canBeOpened, !findings.contains(where: { $0.severity == .damage }) {
      return style.applied(.yellow, to: "The pool is damaged, and nothing is lost: it can be opened.")
    }
    let next = "Restore it from a backup, or make it anew (keelson pool create --force) and let its replicas be rebuilt from their peers."
    let what = canBeOpened ? "The pool is damaged, though it can be opened." : "The pool is damaged and cannot be opened."
    return style.applied(.red, to: what) + " " + next
  }
}
