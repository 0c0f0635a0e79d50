import Console
import Control

/// Where a new volume's replicas shall go.
extension Command {
  static let placementOptions = [
    OptionDeclaration(
      "spread", .text("LABEL"), isRepeated: true, help: "replicas on nodes that differ in this label, as far as there are any: zone"),
    OptionDeclaration("affinity", .text("KEY=VALUE"), isRepeated: true, help: "replicas only on nodes with this label"),
    OptionDeclaration("group", .text("NAME"), help: "volumes of one group go to different nodes, as far as there are any"),
    OptionDeclaration("near", .text("NODE"), help: "the node where the volume is used: a replica and the nexus go there"),
    OptionDeclaration(
      "locality", .choice(VolumeSpec.Locality.allCases.map(\.rawValue)),
      help: "what --near means: prefer if it is possible (default), strict or else wait, none"),
  ]

  static func readPlacement(_ arguments: ParsedArguments, into spec: inout VolumeSpec) throws(CommandError) {
    let spread = arguments.texts("spread").flatMap { $0.split(separator: ",").map(String.init) }
    if !spread.isEmpty { spec.spread = spread }
    let affinity = try labels(arguments.texts("affinity"))
    if !affinity.isEmpty { spec.affinity = affinity }
    spec.group = arguments.text("group")
    spec.preferredNode = arguments.text("near")
    spec.locality = arguments.text("locality").flatMap(VolumeSpec.Locality.init(rawValue:)) ?? (spec.preferredNode == nil ? nil : .prefer)
  }
}
