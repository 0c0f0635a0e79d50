import Testing

@Suite struct ImportMapTests {
  @Test func everyFolderOfSourcesIsOnTheMap() throws {
    let folders = try Set(Repository.entries(of: "Sources").filter { !$0.contains(".") })
    #expect(folders == Set(ImportMap.allowed.keys).union(ImportMap.systemModules))
  }

  @Test func noModuleImportsWhatTheMapForbids() throws {
    var importCount = 0
    for path in try Repository.swiftFiles(in: "Sources") {
      let module = String(path.split(separator: "/")[1])
      let allowed = try #require(ImportMap.allowed[module], "\(path) is in no module of the map")
      for (index, line) in try Repository.lines(of: path).enumerated() {
        guard let imported = ImportMap.module(importedBy: line) else { continue }
        importCount += 1
        #expect(allowed.contains(imported), "\(path):\(index + 1): \(module) may not import \(imported)")
      }
    }
    #expect(importCount > 0)
  }

  /// No module reaches itself: the map has an order in which each module imports only modules before it.
  @Test func theMapHasNoCycle() {
    var remaining = ImportMap.allowed
    while let free = remaining.keys.sorted().first(where: { module in remaining[module]!.allSatisfy { remaining[$0] == nil } }) {
      remaining[free] = nil
    }
    #expect(remaining.isEmpty, "a cycle among \(remaining.keys.sorted())")
  }

  @Test(arguments: [
    ("import NVMe", "NVMe"),
    ("  @preconcurrency public import Foundation.NSURL", "Foundation"),
    ("internal import struct Pool.Cluster", "Pool"),
    ("@testable import keelson  // for tests", "keelson"),
  ]) func readsAnImportLine(line: String, module: String) {
    #expect(ImportMap.module(importedBy: line) == module)
  }

  @Test(arguments: ["", "let import_count = 1", "/// import NVMe", "// import NVMe", "importer.start()"])
  func readsNoImportElsewhere(line: String) {
    #expect(ImportMap.module(importedBy: line) == nil)
  }
}
