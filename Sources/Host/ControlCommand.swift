import NVMe

/// A command of the control path: its data, and who is to hear of its end.
@safe final class ControlCommand {
  /// For people: "Identify Controller".
  let name: String
  /// The data, `byteCount` bytes; nil for none.
  let memory: UnsafeMutableRawPointer?
  let byteCount: Int
  /// Called once, with nil when the connection ended first.
  let completion: (ControlCommand, CompletionEntry?) -> Void

  init(name: String, byteCount: Int, completion: @escaping (ControlCommand, CompletionEntry?) -> Void) {
    self.name = name
    self.byteCount = byteCount
    self.completion = completion
    unsafe memory = byteCount > 0 ? .allocate(byteCount: byteCount, alignment: 4096) : nil
    // A controller may answer with fewer bytes than asked for and an error; nothing stale is shown then.
    unsafe memory?.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
  }

  deinit { unsafe memory?.deallocate() }

  /// Fills in data to send.
  func encode(_ body: (inout MutableRawSpan) -> Void) {
    guard let memory = unsafe memory else { return }
    unsafe withSpan(memory, byteCount, body)
  }

  /// Reads the data received; nil where they are not what they should be.
  func decode<Value>(_ body: (RawSpan) throws -> Value) -> Value? {
    unsafe try? body(UnsafeRawBufferPointer(start: memory, count: byteCount).bytes)
  }
}

/// The control commands outstanding on all queues of an association, by index.
struct ControlTable {
  private var commands: [ControlCommand?] = []

  mutating func insert(_ command: ControlCommand) -> Int {
    if let free = commands.firstIndex(where: { $0 == nil }) {
      commands[free] = command
      return free
    }
    commands.append(command)
    return commands.count - 1
  }

  mutating func remove(_ index: Int) -> ControlCommand {
    guard let command = commands[index] else { preconditionFailure("no control command has this index") }
    commands[index] = nil
    return command
  }
}
