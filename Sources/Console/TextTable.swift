/// A table of plain text: a heading line, then rows, columns two spaces apart. No drawing characters, so that it can be
/// cut, grepped and pasted.
public struct TextTable: Sendable {
  public enum Alignment: Sendable {
    case left
    case right
  }

  public struct Column: Sendable {
    public var title: String
    public var alignment: Alignment

    public init(_ title: String, _ alignment: Alignment = .left) {
      self.title = title
      self.alignment = alignment
    }
  }

  public struct Cell: Sendable, ExpressibleByStringLiteral {
    public var text: String
    public var tone: TextStyle.Tone?

    public init(_ text: String, _ tone: TextStyle.Tone? = nil) {
      self.text = text
      self.tone = tone
    }

    public init(stringLiteral text: String) { self.init(text) }
  }

  public let columns: [Column]
  public private(set) var rows: [[Cell]] = []

  public init(_ columns: [Column]) {
    precondition(!columns.isEmpty)
    self.columns = columns
  }

  public mutating func add(_ cells: [Cell]) {
    precondition(cells.count == columns.count, "a row has as many cells as the table has columns")
    rows.append(cells.map { Cell(Self.printable($0.text), $0.tone) })
  }

  public mutating func add(_ texts: [String]) { add(texts.map { Cell($0) }) }

  /// All lines, each with its line feed and without trailing spaces.
  public func text(style: TextStyle = .plain) -> String {
    var widths = columns.map(\.title.count)
    for row in rows {
      for (index, cell) in row.enumerated() { widths[index] = max(widths[index], cell.text.count) }
    }
    var text = line(columns.map { Cell($0.title.uppercased(), .bold) }, widths, style)
    for row in rows { text += line(row, widths, style) }
    return text
  }

  private func line(_ cells: [Cell], _ widths: [Int], _ style: TextStyle) -> String {
    var text = ""
    // Spaces are owed until something follows them.
    var owed = 0
    for (index, cell) in cells.enumerated() {
      let padding = widths[index] - cell.text.count
      if columns[index].alignment == .right { owed += padding }
      if !cell.text.isEmpty {
        text += String(repeating: " ", count: owed)
        text += cell.tone.map { style.applied($0, to: cell.text) } ?? cell.text
        owed = 0
      }
      if columns[index].alignment == .left { owed += padding }
      owed += 2
    }
    return text + "\n"
  }

  /// Names come from other machines: control characters must not reach the terminal.
  public static func printable(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      let isControl = scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value) || scalar.properties.isBidiControl
      result.unicodeScalars.append(isControl ? "?" : scalar)
    }
    return result
  }
}
