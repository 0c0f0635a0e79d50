import Reactor
import Synchronization

/// What a pool tells of its health; from any thread.
public final class PoolReport: Sendable {
  public enum Operation: String, Sendable { case read, write, flush }

  private struct State {
    var message: String?
    var readErrors: UInt64 = 0
    var writeErrors: UInt64 = 0
    var checksumErrors: UInt64 = 0
    var lastError: String?
  }

  private let location: String
  private let state = Mutex(State())

  init(location: String) { self.location = location }

  /// Whether metadata could not be written: the pool is read-only from then on.
  public var isFaulted: Bool { state.withLock { $0.message != nil } }

  /// Why it is faulted: what failed, where and how.
  public var message: String? { state.withLock { $0.message } }

  /// Failed reads and writes of data, and the last of them.
  public var errors: (reads: UInt64, writes: UInt64, last: String?) {
    state.withLock { ($0.readErrors, $0.writeErrors, $0.lastError) }
  }

  /// Blocks of data found that did not match their checksums; each is a failed read or write too.
  public var checksumErrors: UInt64 { state.withLock { $0.checksumErrors } }

  /// `offsetBytes` is a place on the file or device; nil if it is not known or there is none.
  func fault(_ operation: Operation, code: Int32, what: String, offsetBytes: UInt64? = nil) {
    let place = operation == .flush ? "" : offsetBytes.map { " at offset \($0)" } ?? ""
    let text = "could not \(operation.rawValue) \(what)\(place) on \(location): \(SystemError.message(code))"
    state.withLock { if $0.message == nil { $0.message = text } }
  }

  /// `storageOffsetBytes` is where that is on the file or device, if it is known.
  func note(_ operation: Operation, code: Int32, replica: Identifier, offsetBytes: UInt64, storageOffsetBytes: UInt64? = nil) {
    let place = storageOffsetBytes.map { "at offset \($0) of \(location)" } ?? "on \(location)"
    let whose = replica == .none ? "" : ", at offset \(offsetBytes) of replica \(replica)"
    let text = "could not \(operation.rawValue) \(place)\(whose): \(SystemError.message(code))"
    state.withLock { state in
      if operation == .read { state.readErrors += 1 } else { state.writeErrors += 1 }
      state.lastError = text
    }
  }

  /// A block of data does not match its checksum.
  func noteMismatch(_ operation: Operation, replica: Identifier, offsetBytes: UInt64, storageOffsetBytes: UInt64) {
    let text =
      "could not \(operation.rawValue) at offset \(offsetBytes) of replica \(replica): the block at offset \(storageOffsetBytes) of \(location) does not match its checksum"
    state.withLock { state in
      if operation == .read { state.readErrors += 1 } else { state.writeErrors += 1 }
      state.checksumErrors += 1
      state.lastError = text
    }
  }

  /// A page of checksums is damaged in both its places.
  func noteDamagedSums(storageOffsetBytes: UInt64) {
    let text =
      "the checksums at offset \(storageOffsetBytes) of \(location) are damaged: the data they are of cannot be read until it is written anew"
    state.withLock { state in
      state.readErrors += 1
      state.lastError = text
    }
  }
}
