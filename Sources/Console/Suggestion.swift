/// Finds what somebody may have meant.
enum Suggestion {
  /// `Did you mean '…'?` with the nearest word; empty if none is near.
  static func sentence(for word: String, among words: [String], prefix: String = "") -> String {
    nearest(to: word, among: words).map { "Did you mean '\(prefix)\($0)'?" } ?? ""
  }

  /// The word with the fewest edits, at most a third of its length and 3; the first of equals.
  static func nearest(to word: String, among words: [String]) -> String? {
    // A longer text is no mistyped word, and the comparison is quadratic.
    if word.isEmpty || word.utf8.count > 64 { return nil }
    var best: (word: String, distance: Int)?
    for candidate in words {
      let limit = min(3, max(1, candidate.utf8.count / 3))
      let isBeginning = word.utf8.count >= 3 && candidate.hasPrefix(word)
      let distance = isBeginning ? 1 : editDistance(Array(word.utf8), Array(candidate.utf8))
      if distance <= limit && distance < best?.distance ?? .max { best = (candidate, distance) }
    }
    return best?.word
  }

  /// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
  static func editDistance(_ source: [UInt8], _ target: [UInt8]) -> Int {
    var beforePrevious: [Int] = []
    var previous = Array(0...target.count)
    for row in 0..<source.count {
      var current = [row + 1]
      for column in 0..<target.count {
        var cost = min(
          previous[column + 1] + 1, current[column] + 1, previous[column] + (source[row] == target[column] ? 0 : 1))
        if row > 0 && column > 0 && source[row] == target[column - 1] && source[row - 1] == target[column] {
          cost = min(cost, beforePrevious[column - 1] + 1)
        }
        current.append(cost)
      }
      beforePrevious = previous
      previous = current
    }
    return previous[target.count]
  }
}
