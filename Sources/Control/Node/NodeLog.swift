import Foundation
import Glibc

/// The daemon's log: one line per event on standard error, for people and for whatever collects it.
public struct NodeLog: Sendable {
  private let name: String

  public init(name: String) { self.name = name }

  /// Control characters in what came from outside are replaced, so that a line stays a line.
  public func write(_ line: String) {
    let clean = line.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? "?" : String($0) }.joined()
    let text = "\(Date.now.formatted(.iso8601.time(includingFractionalSeconds: true))) \(name): \(clean)\n"
    FileHandle.standardError.write(Data(text.utf8))
  }
}
