import Console
import Control
import Glibc
import Pool

extension Command {
  private static let nodeOption = OptionDeclaration("node", .text("NODE"), help: "whose pool, where several nodes have one of that name")

  static let poolCreate = Command(
    CommandDeclaration(
      ["pool", "create"], summary: "make a pool of a file or block device, for a node to use",
      details: """
        Refuses a place that holds anything, and says what: a file system, a partition table, LVM, MD, another pool, data. With
        --force all that is there is lost. Replicas are thin: they take space as they are written, and --overcommit says how much
        may be promised to them. A node makes a pool file that is missing by itself (--pool-size).
        """,
      positionals: [PositionalDeclaration("PATH", help: "a block device, best by its /dev/disk/by-id name, or a file")],
      options: [
        OptionDeclaration("name", .text("NAME"), help: "the pool's name; by default that of the file"),
        OptionDeclaration("size", .size, help: "create the file, sparse, in this size if it is missing or empty"),
        OptionDeclaration("cluster-size", .size, defaultText: "1MiB", help: "the unit of allocation: a power of two, 64KiB to 64MiB"),
        OptionDeclaration(
          "overcommit", .integer(0...1_000_000), defaultText: "1000", help: "how much of its size it may promise, in percent; 0 for any"),
        OptionDeclaration(
          "region-size", .size, defaultText: "4MiB", help: "the unit in which replicas are compared: a power of two, 64KiB to 1GiB"),
        OptionDeclaration(
          "hot-regions", .integer(1...65_536), defaultText: "256", help: "at most so many regions of a replica to compare after a crash"),
        integrityOption,
        OptionDeclaration("force", .flag, help: "destroy what is there"),
      ],
      examples: [
        .init("keelson pool create /dev/disk/by-id/nvme-Disk_S1 --name fast", "then: keelson node --pool /dev/disk/by-id/nvme-Disk_S1"),
        .init("keelson pool create /dev/sdb --name disk --overcommit 100", "never promises more than there is"),
        .init("keelson pool create /srv/pool.img --size 20GiB", "a sparse file"),
      ])
  ) { arguments, output in
    let path = arguments.positional("PATH") ?? ""
    let option = try poolOption(arguments, path)
    guard case .path(let place) = option.location else {
      throw CommandError.usage("a pool in memory needs no making", hint: "Give it to a node: --pool \(path)")
    }
    let clusterBytes = arguments.sizeBytes("cluster-size") ?? Pool.defaultClusterBytes
    if clusterBytes.nonzeroBitCount != 1 || clusterBytes < 64 << 10 || clusterBytes > 64 << 20 {
      throw CommandError.usage(
        "--cluster-size is \(ByteSize.text(clusterBytes)), but must be a power of two from 64 KiB to 64 MiB", hint: "1MiB suits most.")
    }
    let options = PoolOptions(
      overcommitPercent: UInt32(arguments.integer("overcommit") ?? 0), regionBytes: arguments.sizeBytes("region-size") ?? 0,
      maximumHotRegions: UInt32(arguments.integer("hot-regions") ?? 0))
    if options.regionBytes.nonzeroBitCount != 1 || options.regionBytes < 64 << 10 || options.regionBytes > 1 << 30 {
      throw CommandError.usage(
        "--region-size is \(ByteSize.text(options.regionBytes)), but must be a power of two from 64 KiB to 1 GiB", hint: "4MiB suits most.")
    }
    let pool = try Pool.format(
      path: place, name: option.name, clusterBytes: clusterBytes, options: options, createFileBytes: option.createBytes,
      force: arguments.flag("force"), integrity: integrity(arguments))
    let (size, identifier, location) = (pool.totalBytes, pool.id, pool.location)
    try pool.close()
    output.write(
      json: [
        "name": .string(option.name), "uuid": .string("\(identifier)"), "path": .string(location), "size": .unsigned(size),
        "cluster_size": .unsigned(clusterBytes), "overcommit": .unsigned(UInt64(options.overcommitPercent)),
        "region_size": .unsigned(options.regionBytes), "hot_regions": .unsigned(UInt64(options.maximumHotRegions)),
        "integrity": .string(integrity(arguments).rawValue),
      ]
    ) { _ in
      let limit = PoolPicture.limitText(percent: options.overcommitPercent, sizeBytes: size)
      return "pool \(option.name) of \(ByteSize.text(size)) is ready in \(location); it promises \(limit)\n"
        + "use it with: keelson node --pool \(location) ...\n"
    }
    return .success
  }

  private static func poolOption(_ arguments: ParsedArguments, _ path: String) throws(CommandError) -> PoolOption {
    do throws(PoolOption.ParseError) {
      return try PoolOption((arguments.text("name").map { "\($0)=" } ?? "") + path, createBytes: arguments.sizeBytes("size"))
    } catch {
      switch error {
      case .location(let place): throw .usage("'\(place)' is no path")
      case .name(let reason): throw .usage("\(reason)", hint: "Choose another --name.")
      }
    }
  }

  static let poolShow = Command(
    CommandDeclaration(
      ["pool", "show"], summary: "show how a pool is used, by whom, and what it is set to",
      details: """
        OWN is what was written for a replica or snapshot, SHARED what it has from snapshots below it, UNIQUE what its deletion would
        give back. A pool that no node uses is read from its file or device, without changing it; of one that is in use its node tells,
        without the unique bytes of snapshots.
        """,
      positionals: [PositionalDeclaration("NAME|PATH", help: "a pool's name, or a path (with a slash: ./file)")],
      options: [nodeOption] + StoreAccess.options,
      examples: [
        .init("keelson pool show disk --node node-1", "as the node tells"),
        .init("keelson pool show /dev/disk/by-id/nvme-Disk_S1", "as it lies on the disk"),
      ])
  ) { arguments, output in
    let picture = try poolPicture(arguments)
    output.write(json: picture.json, text: picture.text)
    return .success
  }

  private static func poolPicture(_ arguments: ParsedArguments) throws -> PoolPicture {
    let text = arguments.positional("NAME|PATH") ?? ""
    guard text.contains("/") else {
      let view = try poolView(text, arguments)
      // Nobody has it open, and it may be on this machine.
      if view.state == "unreachable", view.kind != "memory", let summary = try? PoolSummary(path: view.path) {
        var picture = PoolPicture(summary)
        picture.notes.insert("\(view.node), whose pool it is, does not run", at: 0)
        return picture
      }
      return PoolPicture(view)
    }
    do throws(PoolError) {
      return PoolPicture(try PoolSummary(path: text))
    } catch {
      guard case .inUse = error, let view = runningPool(at: text, arguments) else { throw error }
      var picture = PoolPicture(view)
      picture.notes.insert("it is in use by \(view.node): this is what the node tells", at: 0)
      return picture
    }
  }

  /// The pool of a node that lies at a path of this machine, if the store knows one.
  private static func runningPool(at path: String, _ arguments: ParsedArguments) -> PoolView? {
    guard let place = DeviceNames.resolved(path), let cluster = try? StoreAccess(arguments).cluster() else { return nil }
    return PoolView.all(in: cluster).first { DeviceNames.resolved($0.path) == place }
  }

  /// The pool of that name, on the node that is given if there is one.
  private static func poolView(_ name: String, _ arguments: ParsedArguments) throws -> PoolView {
    let all = PoolView.all(in: try StoreAccess(arguments).cluster()).filter { $0.name == name }
    let node = arguments.text("node")
    let found = all.filter { node == nil || $0.node == node }
    guard let view = found.first else {
      let place = node.map { " on \($0)" } ?? ""
      throw CommandError.notFound(
        "pool_not_found", "there is no pool \(name)\(place)",
        hint: "See all pools with: keelson pool list. A file is written with a slash: ./\(name)")
    }
    if found.count > 1 {
      throw CommandError.usage(
        "\(found.count) nodes have a pool \(name): \(found.map(\.node).joined(separator: ", "))", hint: "Say which one with --node.")
    }
    return view
  }

  static let poolCheck = Command(
    CommandDeclaration(
      ["pool", "check"], summary: "verify every structure of a pool that no node uses",
      details: """
        Reads superblocks, checkpoints, the journal and every entry, and changes nothing. Says what is wrong, where, and whether Keelson
        makes up for it by itself. Exit status 0: the pool is sound; 1: it is damaged, in use, or no pool.
        """,
      positionals: [PositionalDeclaration("PATH", help: "the file or block device")],
      examples: [
        .init("keelson pool check /dev/disk/by-id/nvme-Disk_S1", "after a node has refused it"),
        .init(
          "keelson pool check /srv/pool.img --output json", "for programs: {sound, can_be_opened, findings: [{severity, offset, text}]}"),
      ])
  ) { arguments, output in
    let report = try Pool.check(path: arguments.positional("PATH") ?? "")
    output.write(json: report.json, text: report.text)
    return report.isSound ? .success : .failed
  }

  static let poolGrow = Command(
    CommandDeclaration(
      ["pool", "grow"], summary: "let a pool take the space that its file or device has gained",
      details: """
        For a pool that no node uses. A node that starts does the same by itself: make the device larger and start the node again.
        """,
      positionals: [PositionalDeclaration("NAME|PATH", help: "a pool's name, or a path (with a slash: ./file)")],
      options: [OptionDeclaration("size", .size, help: "make the file so large first"), nodeOption] + StoreAccess.options,
      examples: [
        .init("keelson pool grow /dev/disk/by-id/scsi-Volume_7", "after the volume was made larger"),
        .init("keelson pool grow /srv/pool.img --size 40GiB", "a file, extended on the way"),
      ])
  ) { arguments, output in
    let text = arguments.positional("NAME|PATH") ?? ""
    var path = text
    if !text.contains("/") {
      let view = try poolView(text, arguments)
      if view.kind == "memory" { throw CommandError.usage("pool \(text) of \(view.node) lies in memory and has the size it was given") }
      if view.state != "unreachable" { throw poolIsRunning(view) }
      path = view.path
    }
    let growth: Pool.Growth
    do throws(PoolError) {
      growth = try Pool.grow(path: path, fileBytes: arguments.sizeBytes("size"))
    } catch {
      if case .inUse = error, let view = runningPool(at: path, arguments) { throw poolIsRunning(view) }
      throw error
    }
    output.write(
      json: [
        "name": .string(growth.name), "path": .string(growth.location), "old_size": .unsigned(growth.oldBytes),
        "size": .unsigned(growth.newBytes), "notes": .array(growth.notices.map { .string($0) }),
      ]
    ) { _ in
      let change =
        growth.newBytes > growth.oldBytes
        ? "has grown from \(ByteSize.text(growth.oldBytes)) to \(ByteSize.text(growth.newBytes))"
        : "has \(ByteSize.text(growth.newBytes)) as before: there is no space that it could take"
      let notes = growth.newBytes > growth.oldBytes ? [] : growth.notices
      return "pool \(growth.name) in \(growth.location) \(change)\n" + notes.map { "\($0)\n" }.joined()
    }
    return .success
  }

  static let poolSet = Command(
    CommandDeclaration(
      ["pool", "set"], summary: "change what a pool that no node uses is set to",
      details: """
        What is not given stays. A lower --overcommit takes nothing back: replicas that were promised more keep it, new ones are refused.
        The size of regions can be changed only while there are no replicas, as what replicas know of each other is told in regions.
        """,
      positionals: [PositionalDeclaration("PATH", help: "the file or block device")],
      options: [
        OptionDeclaration("overcommit", .integer(0...1_000_000), help: "how much of its size it may promise, in percent; 0 for any"),
        OptionDeclaration("region-size", .size, help: "the unit in which replicas are compared: a power of two, 64KiB to 1GiB"),
        OptionDeclaration("hot-regions", .integer(1...65_536), help: "at most so many regions of a replica to compare after a crash"),
      ] + StoreAccess.options,
      examples: [.init("keelson pool set /dev/disk/by-id/nvme-Disk_S1 --overcommit 200", "promises at most twice its size")])
  ) { arguments, output in
    let path = arguments.positional("PATH") ?? ""
    let (percent, regionBytes, hotRegions) = (
      arguments.integer("overcommit"), arguments.sizeBytes("region-size"), arguments.integer("hot-regions")
    )
    if percent == nil && regionBytes == nil && hotRegions == nil {
      throw CommandError.usage("nothing to set was given", hint: "Give --overcommit, --region-size or --hot-regions.")
    }
    let pool: Pool
    do throws(PoolError) {
      pool = try Pool.open(path: path)
    } catch {
      guard case .inUse = error, let view = runningPool(at: path, arguments) else { throw error }
      throw CommandError("pool_in_use", "pool \(view.name) is in use by \(view.node)", hint: "Stop the node for the moment that it takes.")
    }
    var options = pool.options
    if let percent { options.overcommitPercent = UInt32(percent) }
    if let hotRegions { options.maximumHotRegions = UInt32(hotRegions) }
    if let regionBytes, regionBytes != options.regionBytes {
      if regionBytes.nonzeroBitCount != 1 || regionBytes < 64 << 10 || regionBytes > 1 << 30 {
        throw CommandError.usage(
          "--region-size is \(ByteSize.text(regionBytes)), but must be a power of two from 64 KiB to 1 GiB", hint: "4MiB suits most.")
      }
      if !pool.replicas.isEmpty {
        throw CommandError(
          "pool_has_replicas", "the region size of pool \(pool.name) cannot be changed while it has replicas",
          hint: "Delete them, or make another pool.")
      }
      options.regionBytes = regionBytes
    }
    try pool.setOptions(options)
    let (name, size) = (pool.name, pool.totalBytes)
    try pool.close()
    output.write(
      json: [
        "name": .string(name), "path": .string(path), "overcommit": .unsigned(UInt64(options.overcommitPercent)),
        "region_size": .unsigned(options.regionBytes), "hot_regions": .unsigned(UInt64(options.maximumHotRegions)),
      ]
    ) { _ in
      "pool \(name) promises \(PoolPicture.limitText(percent: options.overcommitPercent, sizeBytes: size)); regions of "
        + "\(ByteSize.text(options.regionBytes)), at most \(options.maximumHotRegions) hot in a replica\n"
    }
    return .success
  }

  private static func poolIsRunning(_ view: PoolView) -> CommandError {
    CommandError(
      "pool_in_use", "pool \(view.name) is in use by \(view.node)",
      hint: "Make \(view.path) larger and start the node again: it takes the new space when it opens the pool.")
  }

  static let poolDestroy = Command(
    CommandDeclaration(
      ["pool", "destroy"], summary: "end a pool: its replicas and snapshots are lost",
      details: """
        For a pool that no node uses. Without --force it only says what would be lost. Afterwards the place holds no pool any more, and
        its space is given back to the file system or device where that is possible.
        """,
      positionals: [PositionalDeclaration("PATH", help: "the file or block device")],
      options: [OptionDeclaration("force", .flag, help: "destroy it")],
      examples: [
        .init("keelson pool destroy /dev/disk/by-id/nvme-Disk_S1", "what would be lost"),
        .init("keelson pool destroy /dev/disk/by-id/nvme-Disk_S1 --force", "before the disk goes elsewhere"),
      ])
  ) { arguments, output in
    let path = arguments.positional("PATH") ?? ""
    let loss: String
    do throws(PoolError) {
      let summary = try PoolSummary(path: path)
      let data = ByteSize.text(summary.usage.allocatedBytes)
      loss =
        summary.replicas.isEmpty && summary.snapshots.isEmpty
        ? "pool \(summary.name) in \(summary.location), which holds nothing"
        : "pool \(summary.name) in \(summary.location), with \(summary.replicas.count) replica(s), \(summary.snapshots.count) "
          + "snapshot(s) and \(data) of data"
    } catch {
      switch error {
      // Damaged ones can be destroyed, too.
      case .corruptMetadata(let place, _), .corruptSuperblock(let place, _), .truncated(let place, _, _), .olderVersion(let place, _, _),
        .newerVersion(let place, _, _), .unknownFeatures(let place, _):
        loss = "the pool in \(place), which cannot be opened: what it holds is not known"
      default: throw error
      }
    }
    guard arguments.flag("force") else {
      throw CommandError("force_needed", "this would destroy \(loss); --force was not given", hint: "Add --force.")
    }
    let destroyed = try Pool.destroy(path: path)
    output.write(json: ["name": .string(destroyed.name), "path": .string(destroyed.location)]) { _ in "destroyed \(loss)\n" }
    return .success
  }
}
