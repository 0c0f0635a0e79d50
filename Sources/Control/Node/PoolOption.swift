import Pool

/// A pool that a node shall have: `[NAME=]PATH`, `[NAME=]mem:SIZE` or, for drills, `[NAME=]drill:PATH` on a command line.
public struct PoolOption: Equatable, Sendable {
  public enum ParseError: Error, Equatable, Sendable {
    /// Neither a path nor `mem:SIZE`.
    case location(String)
    /// Not a name that a pool may have.
    case name(ObjectError)
  }

  /// The node's name for the pool: assignments refer to it, so it must stay the same from run to run.
  public var name: String
  public var location: PoolLocation
  /// An absent or empty file becomes a sparse pool file of this size; nil refuses it.
  public var createBytes: UInt64?
  /// What a pool file that is created keeps of its data; one that exists stays as it is.
  public var integrity = PoolIntegrity.none

  public init(name: String, location: PoolLocation, createBytes: UInt64? = nil) {
    self.name = name
    self.location = location
    self.createBytes = createBytes
  }

  /// Reads one pool. Without a name, a pool in memory is called `memory`, and another one like its file, in lower case, without
  /// the ending: `/data/Disk_1.pool` is `disk-1`.
  public init(_ text: String, createBytes: UInt64?) throws(ParseError) {
    var place = Substring(text)
    var given: String?
    if let equals = text.firstIndex(of: "="), !text[..<equals].contains("/"), !text.hasPrefix("mem:"), !text.hasPrefix("drill:") {
      given = String(text[..<equals])
      place = text[text.index(after: equals)...]
    }
    let location: PoolLocation
    do { location = try PoolLocation(String(place)) } catch { throw .location(String(place)) }
    let name = given ?? Self.defaultName(of: location)
    do { try Names.validate(name, kind: "pool name") } catch { throw .name(error) }
    self.init(name: name, location: location, createBytes: createBytes)
  }

  /// As the command line takes it.
  public var text: String { "\(name)=\(location)" }

  private static func defaultName(of location: PoolLocation) -> String {
    let path: String
    switch location {
    case .memory: return "memory"
    case .path(let given), .drill(let given): path = given
    }
    let file = path.split(separator: "/").last ?? ""
    let stem = file.lastIndex(of: ".").map { $0 == file.startIndex ? file.dropFirst() : file[..<$0] } ?? file
    let letters = stem.lowercased().unicodeScalars.map { scalar in
      ("a"..."z").contains(scalar) || ("0"..."9").contains(scalar) ? Character(scalar) : "-"
    }
    let trimmed = String(letters).drop { $0 == "-" }.prefix(Names.maximumLength)
    return trimmed.last == "-" ? String(trimmed.dropLast(trimmed.reversed().prefix { $0 == "-" }.count)) : String(trimmed)
  }
}
