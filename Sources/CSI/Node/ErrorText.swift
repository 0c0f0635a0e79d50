import Glibc

/// The system's words for its error numbers.
enum ErrorText {
  static func of(_ code: Int32) -> String { unsafe String(cString: strerror(code)) }
}
