/// A line that is rewritten in place while work goes on. Silent where nobody looks: it writes only to a terminal.
public struct ProgressLine: ~Copyable {
  private let terminal: Terminal
  private let isShown: Bool
  private var isDirty = false

  /// On standard error by default, so that standard output holds the result alone.
  public init(_ terminal: Terminal = .standardError) {
    self.terminal = terminal
    isShown = terminal.isTerminal
  }

  public mutating func show(_ text: String) {
    if !isShown { return }
    terminal.write(Self.frame(text, columnCount: terminal.columnCount))
    isDirty = true
  }

  /// Removes the line, so that other output can follow.
  public mutating func clear() {
    if isDirty { terminal.write("\r\u{1b}[K") }
    isDirty = false
  }

  /// Return, text cut to one line, erase to the end of the line. The last column stays free: writing there may wrap.
  static func frame(_ text: String, columnCount: Int) -> String {
    "\r" + TextTable.printable(String(text.prefix(max(1, columnCount - 1)))) + "\u{1b}[K"
  }
}
