extension StateStore {
  /// Waits, by watching, until `condition` gives a value; nil once the time is over. `condition` is called for what is under
  /// `prefix` now, and after every change.
  public func wait<Value>(
    prefix: String = "", nanoseconds: UInt64, until condition: (StoreMirror) throws -> Value?
  ) throws -> Value? {
    let start = BootClock.nanoseconds()
    while true {
      let page = try listAll(prefix: prefix)
      var mirror = StoreMirror(page)
      let watch = try watch(prefix: prefix, fromRevision: page.revision + 1)
      defer { watch.cancel() }
      do {
        while true {
          if let value = try condition(mirror) { return value }
          let elapsed = BootClock.nanoseconds() - start
          if elapsed >= nanoseconds { return nil }
          if let batch = try watch.next(timeoutNanoseconds: nanoseconds - elapsed) { mirror.apply(batch) }
        }
      } catch StoreError.compacted {
        // Too slow for the history that the store keeps: look at everything again.
      }
    }
  }
}
