import Testing

@testable import Console

@Suite struct SuggestionTests {
  @Test(arguments: [("", "", 0), ("abc", "abc", 0), ("abc", "", 3), ("kitten", "sitting", 3), ("raed", "read", 1), ("ab", "ba", 1)])
  func distances(source: String, target: String, distance: Int) {
    #expect(Suggestion.editDistance(Array(source.utf8), Array(target.utf8)) == distance)
  }

  @Test func nearest() {
    #expect(Suggestion.nearest(to: "replica", among: ["rw", "replicas", "size"]) == "replicas")
    #expect(Suggestion.nearest(to: "runtme", among: ["rw", "runtime"]) == "runtime")
    #expect(Suggestion.nearest(to: "completely-else", among: ["rw", "runtime"]) == nil)
    #expect(Suggestion.nearest(to: "", among: ["a"]) == nil)
    #expect(Suggestion.nearest(to: String(repeating: "a", count: 10_000), among: ["a"]) == nil)
  }
}
