import Glibc
import Reactor
import Testing

@testable import Pool

/// Ends of the process, of the power, and what a new opening finds.
extension PoolSimulation {
  // MARK: Crashes

  /// Looks at crashes at every moment since an event, each without going there.
  func checkCrashes(since start: Int) {
    if options.samplesPerEvent == 0 && options.exhaustiveWrites == 0 && !isLookingAtCrashes || hasFailed { return }
    for moment in start...disk.events {
      check(disk.imageAfterKill(at: moment, using: &generator), at: moment, isKill: true)
      let open = disk.losable(at: moment)
      let sectors = open.reduce(0) { $0 + $1.bytes.count / 512 }
      if sectors <= options.exhaustiveWrites {
        for subset in 0..<1 << sectors {
          var bit = 0
          let image = disk.image(at: moment) { _, operation in
            defer { bit += operation.bytes.count / 512 }
            return .sectors((0..<operation.bytes.count / 512).map { subset >> (bit + $0) & 1 != 0 })
          }
          check(image, at: moment, isKill: false)
        }
      } else {
        if open.count <= options.exhaustiveWrites {
          for subset in 0..<1 << open.count {
            check(disk.image(at: moment) { index, _ in subset >> index & 1 != 0 ? .whole : .nothing }, at: moment, isKill: false)
          }
        }
        for _ in 0..<max(options.samplesPerEvent, isLookingAtCrashes ? 2 : 0) {
          check(disk.imageAfterPowerLoss(at: moment, using: &generator), at: moment, isKill: false)
        }
      }
      if hasFailed { return }
    }
  }

  func check(_ image: [UInt8], at moment: Int, isKill: Bool) {
    if hasFailed { return }
    crashes += 1
    let what = "\(isKill ? "a kill" : "a power loss") at event \(moment)"
    do throws(PoolError) {
      let recovery = try Recovery(ImageSource(image: image), superblock: superblock, using: &generator)
      let flaw =
        model.flaw(recovery.state, at: moment, isKill: isKill) { content(of: $0, image, recovery.state) }
        ?? structureFlaw(of: recovery.state)
      if let flaw { return fail("after \(what): \(flaw)") }
    } catch {
      return fail("after \(what) it cannot be opened: \(error)")
    }
    if options.integrity == .none { return }
    let copy = SimulatedDisk(image: image, seed: seed)
    guard let engine = Self.makeEngine(superblock, copy, options, &generator) else { return fail("not opened") }
    readAll(engine, copy, image, what)
    copy.detach()
  }

  /// Reads all replicas by requests: whatever a crash left, none may fail, and all must give what is in the image.
  func readAll(_ engine: PoolEngine, _ disk: SimulatedDisk, _ image: [UInt8], _ what: String) {
    for id in engine.state.replicas.keys.sorted() {
      let expected = content(of: id, image, engine.state)
      let device = engine.open(id)
      let client = SimulatedClient(.read, id, 0..<expected.count)
      unsafe engine.submit(
        BlockRequest(.read, offsetBytes: 0, byteCount: UInt64(expected.count) * 512, buffer: client.buffer, token: 0), device: device,
        for: client, isAccepted: true)
      disk.runUntilIdle()
      engine.close(device)
      guard client.status == .success else {
        return fail("after \(what) a read ends with \(String(describing: client.status)): \(engine.report.errors.last ?? "")")
      }
      for sector in 0..<expected.count where client.found(sector) != expected[sector] {
        return fail("after \(what) sector \(sector) of \(id) reads as \(client.found(sector)), not \(expected[sector])")
      }
    }
  }

  /// As `readAll`, of what is there now, with nothing in flight.
  func checkReads() {
    if !hasFailed { readAll(engine, disk, disk.image, "what was done") }
  }

  /// Loses power now, in the middle of what was begun, or only the process if `keepsCache`; goes on with what is left.
  func crash(keepsCache: Bool) {
    if hasFailed { return }
    conclude(isOver: false)
    let moment = disk.events
    let image = keepsCache ? disk.imageAfterKill(at: moment, using: &generator) : disk.imageAfterPowerLoss(at: moment, using: &generator)
    abandoned.append(contentsOf: clients)
    clients = []
    for change in changes { change.forget() }
    changes = []
    opened = [:]
    let before = engine
    disk.detach()
    graveyard.append(before)
    // What it would have answered holds it, and this.
    before.actions = [:]
    before.fillers = []
    disk = SimulatedDisk(image: image, seed: generator.next())
    disk.canZero = options.canZero
    guard let next = Self.makeEngine(superblock, disk, options, &generator) else { return fail("not opened after a crash") }
    engine = next
    roundStart = 0
    if let flaw = model.flaw(engine.state, at: moment, isKill: keepsCache, content: { content(of: $0, image, engine.state) }) {
      return fail("after \(keepsCache ? "a kill" : "a power loss") at event \(moment): \(flaw)")
    }
    model.settle(engine.state) { content(of: $0, image, engine.state) }
    engine.resume()
  }

  /// What the last opening began, to its end.
  func finishRecovery() {
    if hasFailed { return }
    finish()
  }

  /// A few steps of what the last opening began.
  func takeSteps(_ count: Int) { for _ in 0..<count where disk.step() {} }
}
