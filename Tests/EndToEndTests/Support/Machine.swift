import Foundation
import Glibc

/// What this machine says of ports and processes.
enum Machine {
  /// `count` ports in a row that nobody listens on now, below those that the kernel gives to connections.
  static func freePorts(_ count: Int, host: String = "127.0.0.1") throws -> Int {
    for _ in 0..<200 {
      let base = Int.random(in: 15_000...(31_000 - count))
      if (base..<(base + count)).allSatisfy({ isFree($0) }) { return base }
    }
    throw TimedOut(description: "no \(count) free ports in a row")
  }

  private static func isFree(_ port: Int) -> Bool {
    guard let descriptor = try? listen(port: port) else { return false }
    close(descriptor)
    return true
  }

  /// Listens on a port of the IPv4 loopback; the caller closes the descriptor.
  static func listen(port: Int) throws -> Int32 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var on: Int32 = 1
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, 4)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
    let isBound = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
    guard isBound, Glibc.listen(descriptor, 1) == 0 else {
      close(descriptor)
      throw TimedOut(description: "port \(port) is taken")
    }
    return descriptor
  }

  /// The running processes, zombies excluded, whose command line holds `text`, with their arguments.
  static func processes(with text: String) -> [(processID: Int32, arguments: [String])] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return names.compactMap { Int32($0) }.sorted().compactMap { processID in
      guard let data = try? Data(contentsOf: URL(filePath: "/proc/\(processID)/cmdline")), !data.isEmpty else { return nil }
      let arguments = data.split(separator: 0, omittingEmptySubsequences: false).dropLast().map { String(decoding: $0, as: UTF8.self) }
      return arguments.contains { $0.contains(text) } ? (processID, Array(arguments)) : nil
    }
  }

  /// A number of kibibytes from `/proc/PID/status`.
  static func kibibytes(_ field: String, of processID: Int32) throws -> Int {
    let text = try String(contentsOfFile: "/proc/\(processID)/status", encoding: .utf8)
    let line = text.split(separator: "\n").first { $0.hasPrefix(field + ":") } ?? ""
    return line.split(whereSeparator: { $0 == "\t" || $0 == " " }).compactMap { Int($0) }.first ?? -1
  }

  /// Processor time used so far, in ticks of 10 ms (proc(5), utime and stime).
  static func processorTicks(of processID: Int32) throws -> Int {
    let text = try String(contentsOfFile: "/proc/\(processID)/stat", encoding: .utf8)
    let fields = text[text.index(after: text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
    return Int(fields[11])! + Int(fields[12])!
  }
}
