import NVMe

/// A Connect command with its data, checked as far as that goes without knowing the subsystem (NVMe Base 2.0, 6.3).
struct ConnectRequest {
  /// 0 for the admin queue.
  let queueIdentifier: UInt16
  /// Entries of the queue; at least 2.
  let queueEntryCount: Int
  /// The host wants no submission queue flow control: completions then carry no queue head, and the answer's is FFFFh.
  let disablesFlowControl: Bool
  let keepAliveMilliseconds: UInt32
  let data: ConnectData

  /// `data` is the command's whole data; fewer than 1024 bytes are refused.
  init(_ entry: SubmissionEntry, data bytes: RawSpan) throws(CommandRefusal) {
    if entry.connectRecordFormat != 0 { throw .permanent(.connectIncompatibleFormat) }
    if entry.connectQueueSizeZeroBased == 0 { throw .invalidConnectCommand(offset: 44) }
    if bytes.byteCount < ConnectData.byteCount { throw .permanent(.dataSGLLengthInvalid) }
    do {
      data = try ConnectData(decoding: bytes)
    } catch {
      throw .invalidConnectData(offset: error.parameterOffset, doNotRetry: true)
    }
    queueIdentifier = entry.connectQueueIdentifier
    queueEntryCount = Int(entry.connectQueueSizeZeroBased) + 1
    disablesFlowControl = entry.connectDisablesFlowControl
    keepAliveMilliseconds = entry.connectKeepAliveMilliseconds
  }
}
