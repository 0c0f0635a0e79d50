/// The Firmware Slot Information log, LID 03h, 512 bytes (NVMe Base 2.0, 5.16.1.4).
public struct FirmwareSlotLog: Equatable, Sendable {
  public static let byteCount = 512
  public static let slotCount = 7

  /// AFI, byte 0, bits 2:0: the slot in use, 1 to 7.
  public var activeSlot: UInt8
  /// AFI, byte 0, bits 6:4: the slot in use after the next reset; 0 for not reported.
  public var nextSlot: UInt8
  /// FRS1 to FRS7, bytes 8–63: 7 revisions of 8 characters; empty for an empty slot.
  public var revisions: [String]

  /// One slot, in use, with `revision` of at most 8 characters.
  public init(revision: String) {
    activeSlot = 1
    nextSlot = 0
    revisions = [revision] + [String](repeating: "", count: Self.slotCount - 1)
  }

  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    let information: UInt8 = bytes.littleEndian(at: offset)
    activeSlot = information & 0x7
    nextSlot = information >> 4 & 0x7
    revisions = []
    for slot in 0..<Self.slotCount { revisions.append(bytes.fixedText(at: offset + 8 + 8 * slot, count: 8)) }
  }

  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    precondition(revisions.count == Self.slotCount && activeSlot < 8 && nextSlot < 8)
    bytes.zero(Self.byteCount, at: offset)
    bytes.storeLittleEndian(activeSlot | nextSlot << 4, at: offset)
    for slot in 0..<Self.slotCount where !revisions[slot].isEmpty {
      bytes.storeFixedText(revisions[slot], at: offset + 8 + 8 * slot, count: 8)
    }
  }
}
