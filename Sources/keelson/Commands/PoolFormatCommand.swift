import Console
import Control
import Pool

extension Command {
  static let poolFormat = Command(
    CommandDeclaration(
      ["pool", "format"], summary: "make a pool of a file or block device, for a node to use",
      details: """
        Refuses a place that holds anything: a pool, a file system, data. With --force all that is there is lost.
        A node formats a file that is missing by itself (--pool-size); this is for whole disks, and for starting over.
        """,
      positionals: [PositionalDeclaration("PATH", help: "a block device or a file; no node may have it open")],
      options: [
        OptionDeclaration("name", .text("NAME"), help: "the pool's name; by default that of the file"),
        OptionDeclaration("size", .size, help: "create the file, sparse, in this size if it is missing or empty"),
        integrityOption,
        OptionDeclaration("force", .flag, help: "destroy what is there"),
      ],
      examples: [
        .init("keelson pool format /dev/sdb --name disk", "then: keelson node --pool disk=/dev/sdb"),
        .init("keelson pool format /srv/pool.img --size 20GiB", "a sparse file"),
      ])
  ) { arguments, output in
    let path = arguments.positional("PATH") ?? ""
    let option: PoolOption
    do throws(PoolOption.ParseError) {
      option = try PoolOption((arguments.text("name").map { "\($0)=" } ?? "") + path, createBytes: arguments.sizeBytes("size"))
    } catch {
      switch error {
      case .location(let place): throw CommandError.usage("'\(place)' is no path")
      case .name(let reason): throw CommandError.usage("\(reason)", hint: "Choose another --name.")
      }
    }
    guard case .path(let place) = option.location else {
      throw CommandError.usage("a pool in memory needs no formatting", hint: "Give it to a node: --pool \(path)")
    }
    let pool = try Pool.format(
      path: place, name: option.name, createFileBytes: option.createBytes, force: arguments.flag("force"),
      integrity: integrity(arguments))
    let (size, identifier) = (pool.totalBytes, pool.id)
    try pool.close()
    output.write(
      json: ["name": .string(option.name), "uuid": .string("\(identifier)"), "path": .string(place), "size": .unsigned(size)]
    ) { _ in
      "pool \(option.name) of \(ByteSize.text(size)) is ready in \(place); use it with: keelson node --pool \(option.text) ...\n"
    }
    return .success
  }
}
