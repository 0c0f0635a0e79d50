import Glibc

/// One of the process's standard streams: how to write to it and what it can show.
public struct Terminal: Sendable {
  public static let standardOutput = Terminal(fileDescriptor: STDOUT_FILENO)
  public static let standardError = Terminal(fileDescriptor: STDERR_FILENO)

  public let fileDescriptor: Int32

  public init(fileDescriptor: Int32) { self.fileDescriptor = fileDescriptor }

  public var isTerminal: Bool { isatty(fileDescriptor) == 1 }

  /// Colour only on a terminal that can show it, and never when `NO_COLOR` is set to anything (https://no-color.org).
  public var style: TextStyle {
    TextStyle(
      usesColour: Self.usesColour(
        isTerminal: isTerminal, noColour: Self.environment("NO_COLOR"), terminalType: Self.environment("TERM")))
  }

  static func usesColour(isTerminal: Bool, noColour: String?, terminalType: String?) -> Bool {
    isTerminal && (noColour ?? "").isEmpty && terminalType != "dumb"
  }

  /// The width in columns; 80 if it is unknown.
  public var columnCount: Int {
    var size = winsize()
    let result = unsafe ioctl(fileDescriptor, UInt(TIOCGWINSZ), &size)
    return result == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
  }

  /// Writes everything, over short writes and interruptions. False if the reader is gone or the disk is full.
  @discardableResult
  public func write(_ text: String) -> Bool {
    var text = text
    return text.withUTF8 { bytes in
      var offset = 0
      while offset < bytes.count {
        let written = unsafe Glibc.write(fileDescriptor, bytes.baseAddress! + offset, bytes.count - offset)
        if written > 0 {
          offset += written
        } else if written < 0 && errno == EINTR {
          continue
        } else if written < 0 && errno == EAGAIN {
          // A stream shared with a non-blocking one: wait until it takes more.
          var descriptor = pollfd(fd: fileDescriptor, events: Int16(POLLOUT), revents: 0)
          if unsafe poll(&descriptor, 1, 10_000) <= 0 { return false }
        } else {
          return false
        }
      }
      return true
    }
  }

  static func environment(_ name: String) -> String? {
    guard let value = unsafe getenv(name) else { return nil }
    return unsafe String(cString: value)
  }
}
