/// The ring of records and what is known of it: where the next one goes, how far they were written, how far they are durable.
/// No I/O.
///
/// Positions count on and on; a position's place in the ring is its remainder. A record never goes over the end of the ring: where
/// less than the largest record would fit, the next one starts at the beginning.
struct Journal: Equatable {
  /// From where a checkpoint says the journal is to be replayed.
  struct Mark: Equatable {
    var position: UInt64
    /// Of the first record from there on.
    var sequence: UInt64
    /// Of the record before.
    var predecessorChecksum: UInt32
  }

  let poolID: Identifier
  /// Where the ring starts on the storage.
  let offset: UInt64
  let byteCount: UInt64
  let opening: UInt64
  private(set) var head: Mark
  /// Where replaying would start now: nothing behind it is overwritten.
  private(set) var tail: UInt64
  /// The highest record of which the write has ended.
  var writtenSequence: UInt64
  /// The highest record that a flush has made durable since.
  var durableSequence: UInt64
  /// All data that records up to this number speak of is durable.
  var arrivedSequence: UInt64
  /// As `arrivedSequence`, as far as a record that was written says so.
  var notedSequence: UInt64
  /// As `arrivedSequence`, as far as a durable record says so.
  var settledSequence: UInt64

  /// Everything up to `head` is written and durable; `unsettled` is the lowest record that speaks of data of which no record says
  /// that it arrived.
  init(
    poolID: Identifier, offset: UInt64, byteCount: UInt64, opening: UInt64, head: Mark, tail: UInt64, unsettled: UInt64? = nil
  ) {
    self.poolID = poolID
    self.offset = offset
    self.byteCount = byteCount
    self.opening = opening
    self.head = head
    self.tail = tail
    writtenSequence = head.sequence - 1
    durableSequence = head.sequence - 1
    arrivedSequence = (unsettled ?? head.sequence) - 1
    notedSequence = arrivedSequence
    settledSequence = arrivedSequence
  }

  /// No record is larger.
  static func maximumRecordBytes(ringBytes: UInt64) -> Int { Int(min(max(ringBytes / 8, 16 << 10), 512 << 10)) & ~4095 }
  var maximumBodyBytes: Int { Self.maximumRecordBytes(ringBytes: byteCount) - MetadataRecord.headerBytes }

  /// Where a record goes that follows on `position`.
  static func place(_ position: UInt64, ringBytes: UInt64) -> UInt64 {
    let rest = ringBytes - position % ringBytes
    return rest < UInt64(maximumRecordBytes(ringBytes: ringBytes)) ? position + rest : position
  }

  /// Bytes between the tail and the head.
  var usedBytes: UInt64 { head.position - tail }

  func hasRoom(bodyBytes: Int) -> Bool {
    Self.place(head.position, ringBytes: byteCount) + UInt64(MetadataRecord.encodedBytes(bodyBytes: bodyBytes)) - tail <= byteCount
  }

  /// Makes the next record and moves on; there must be room.
  mutating func seal(body: [UInt8]) -> (storageOffset: UInt64, bytes: [UInt8]) {
    precondition(body.count <= maximumBodyBytes && hasRoom(bodyBytes: body.count))
    let record = MetadataRecord(
      kind: .journal, sequence: head.sequence, durableSequence: durableSequence, opening: opening,
      predecessorChecksum: head.predecessorChecksum, unarrivedCount: UInt32(durableSequence - arrivedSequence), body: body)
    let (bytes, checksum) = record.encoded(poolID: poolID)
    let place = Self.place(head.position, ringBytes: byteCount)
    head = Mark(position: place + UInt64(bytes.count), sequence: head.sequence + 1, predecessorChecksum: checksum)
    return (offset + place % byteCount, bytes)
  }

  /// A checkpoint is durable from which on replaying starts at `mark`.
  mutating func trim(to mark: Mark) {
    precondition(mark.position >= tail && mark.position <= head.position)
    tail = mark.position
  }
}
