import Control
import GRPC

/// Parameters of a StorageClass.
///
///     replicas       1 to 3              on how many nodes each block lies; default 2
///     minInSync      1 to replicas       below this many replicas in sync nothing is served; default 2 of 3, else 1
///     thin           true | false        false takes all space at once; default true
///     blockSize      512 | 4096          bytes per logical block; default 512
///     integrity      none                checksums of data are a property of pools, which a volume cannot ask for
///     locality       none | prefer | strict   whether replica and nexus go where the first pod runs; default none
///     spread         KEY,KEY             labels of nodes over whose values replicas are spread
///     group          NAME                volumes of one group go to different nodes as far as there are any
///     formatOptions  WORDS               for the program that makes the filesystem
///     ioQueues       1 to 64             connections for data per path; default the node's processors, at most 4
///     keepAliveTmo   1 to 3600           seconds until a silent path is given up; default 2
///     ctrlLossTmo    -1 to 86400         seconds until reads and writes fail without any path; -1, the default, is never
///
/// `csi.storage.k8s.io/…` is Kubernetes' own and is not looked at.
struct VolumeParameters: Equatable, Sendable {
  static let keys = [
    "replicas", "minInSync", "thin", "blockSize", "integrity", "locality", "spread", "group", "formatOptions", "ioQueues",
    "keepAliveTmo", "ctrlLossTmo",
  ]
  static let kubernetesPrefix = "csi.storage.k8s.io/"

  var replicaCount = 2
  var minInSync: Int?
  var isThick = false
  var blockSizeBytes: UInt32 = 512
  var integrity = "none"
  var locality = VolumeSpec.Locality.none
  var spread: [String] = []
  var group: String?
  var formatOptions: String?
  var ioQueues: Int?
  var keepAliveSeconds: Int?
  var controllerLossSeconds: Int?
  /// What was given and is ours, as it was given.
  private(set) var given: [String: String] = [:]

  init() {}

  /// Throws INVALID_ARGUMENT with the name of the key that is unknown or has a bad value.
  init(_ parameters: [String: String]) throws(GRPCError) {
    for (key, value) in parameters.sorted(by: { $0.key < $1.key }) where !key.hasPrefix(Self.kubernetesPrefix) {
      guard Self.keys.contains(key) else {
        throw CSIRequests.invalid("parameter \(key.prefix(80)) is unknown; known are \(Self.keys.joined(separator: ", "))")
      }
      if value.utf8.count > 1024 { throw CSIRequests.invalid("parameter \(key) has more than 1024 bytes") }
      given[key] = value
    }
    replicaCount = try number("replicas", 1...VolumeSpec.maximumReplicaCount) ?? replicaCount
    minInSync = try number("minInSync", 1...replicaCount)
    isThick = try choice("thin", ["true", "false"]) == "false"
    blockSizeBytes = try choice("blockSize", ["512", "4096"]) == "4096" ? 4096 : 512
    integrity = try choice("integrity", ["none"]) ?? integrity
    locality = try choice("locality", VolumeSpec.Locality.allCases.map(\.rawValue)).flatMap(VolumeSpec.Locality.init(rawValue:)) ?? .none
    spread = (given["spread"] ?? "").split(separator: ",").map { $0.trimmingPrefix { $0 == " " }.description }
    if spread.count > 8 || spread.contains(where: { $0.isEmpty || $0.contains(" ") }) {
      throw CSIRequests.invalid("parameter spread is no list of at most 8 labels, joined by commas")
    }
    group = given["group"]
    if let group {
      do throws(ObjectError) { try Names.validate(group, kind: "group name") } catch {
        throw CSIRequests.invalid("parameter group: \(error)")
      }
    }
    formatOptions = given["formatOptions"]
    if let formatOptions, !formatOptions.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) {
      throw CSIRequests.invalid("parameter formatOptions has characters that are not printable ASCII")
    }
    ioQueues = try number("ioQueues", 1...64)
    keepAliveSeconds = try number("keepAliveTmo", 1...3600)
    controllerLossSeconds = try number("ctrlLossTmo", -1...86_400)
  }

  private func number(_ key: String, _ range: ClosedRange<Int>) throws(GRPCError) -> Int? {
    guard let text = given[key] else { return nil }
    guard let value = Int(text), range.contains(value) else {
      throw CSIRequests.invalid(
        "parameter \(key) is '\(text.prefix(40))'; it must be \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  private func choice(_ key: String, _ values: [String]) throws(GRPCError) -> String? {
    guard let text = given[key] else { return nil }
    guard values.contains(text) else {
      throw CSIRequests.invalid("parameter \(key) is '\(text.prefix(40))'; it must be \(values.joined(separator: " or "))")
    }
    return text
  }
}
