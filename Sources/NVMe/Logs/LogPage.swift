/// LID: the log pages a fabrics controller has (NVMe Base 2.0, 5.16.1).
public enum LogPage: UInt8, Sendable, CaseIterable {
  case supportedLogPages = 0x00
  case errorInformation = 0x01
  case health = 0x02
  case firmwareSlot = 0x03
  case changedNamespaces = 0x04
  case commandEffects = 0x05
  case deviceSelfTest = 0x06
  case asymmetricAccess = 0x0C
  case reservationNotification = 0x80
  case discovery = 0x70
}

/// The Supported Log Pages log, LID 00h, 1024 bytes: a dword for each LID (NVMe Base 2.0, 5.16.1.1).
public enum SupportedLogPages {
  public static let byteCount = 1024

  /// Encodes LSUPP, bit 0, for each of `pages`.
  public static func encode(_ pages: [LogPage], into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.zero(byteCount, at: offset)
    for page in pages { bytes.storeLittleEndian(UInt32(1), at: offset + 4 * Int(page.rawValue)) }
  }

  /// Whether the encoded log at `offset` has the page.
  public static func isSupported(_ page: LogPage, in bytes: RawSpan, at offset: Int = 0) throws(CodecError) -> Bool {
    try bytes.require(byteCount, at: offset)
    return bytes.littleEndian(at: offset + 4 * Int(page.rawValue), as: UInt32.self) & 1 != 0
  }
}
