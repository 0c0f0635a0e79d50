/// Whether text carries terminal colours. Colour never carries meaning alone: the words say it too.
public struct TextStyle: Sendable {
  public enum Tone: String, Sendable {
    case bold = "1"
    case dim = "2"
    case red = "31"
    case green = "32"
    case yellow = "33"
    case cyan = "36"
  }

  public var usesColour: Bool

  public static let plain = TextStyle(usesColour: false)

  public init(usesColour: Bool) { self.usesColour = usesColour }

  public func applied(_ tone: Tone, to text: String) -> String {
    usesColour && !text.isEmpty ? "\u{1b}[\(tone.rawValue)m\(text)\u{1b}[0m" : text
  }
}
