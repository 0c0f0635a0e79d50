import Control
import GRPC

/// What the store calls things that CSI names by free text. The name is a function of CSI's, so that creating a thing twice finds it by one
/// key, and one transaction decides who made it.
enum ObjectNames {
  /// CSI asks for 128 bytes; more does no harm.
  static let maximumBytes = 1024
  /// Names of ours that are not CSI's own begin so.
  static let prefix = "csi-"

  /// CSI's own name where that is a name to us too (as `pvc-UUID` is), else one made from its checksum.
  static func name(for text: String) throws(GRPCError) -> String {
    try CSIRequests.require(text, "name")
    if text.utf8.count > maximumBytes {
      throw CSIRequests.invalid("name has \(text.utf8.count) bytes, at most \(maximumBytes) are allowed")
    }
    if text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) {
      throw CSIRequests.invalid("name has a control character in it")
    }
    if !text.hasPrefix(prefix), (try? Names.validate(text, kind: "name")) != nil { return text }
    return prefix + SHA256.hexadecimal(of: text).prefix(40)
  }
}
