import CNGHTTP2

/// What nghttp2 calls while it takes or makes bytes. The callbacks only note events: whoever fed the bytes acts on them afterwards, so
/// nothing re-enters the session.
enum HTTP2Callbacks {
  static func install(in callbacks: OpaquePointer?) {
    unsafe nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, frame, context in
      unsafe HTTP2Callbacks.session(context).beginHeaders(frame!.pointee.hd.stream_id)
      return 0
    }
    unsafe nghttp2_session_callbacks_set_on_header_callback(callbacks) { _, frame, name, nameCount, value, valueCount, _, context in
      let name = unsafe String(decoding: UnsafeBufferPointer(start: name, count: nameCount), as: UTF8.self)
      let value = unsafe String(decoding: UnsafeBufferPointer(start: value, count: valueCount), as: UTF8.self)
      return unsafe HTTP2Callbacks.session(context).addHeader(frame!.pointee.hd.stream_id, HeaderField(name, value))
    }
    unsafe nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, stream, data, count, context in
      let bytes = unsafe Array(UnsafeBufferPointer(start: data, count: count))
      unsafe HTTP2Callbacks.session(context).addData(stream, bytes)
      return 0
    }
    unsafe nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, context in
      unsafe HTTP2Callbacks.session(context).addFrame(frame!)
      return 0
    }
    unsafe nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, stream, errorCode, context in
      unsafe HTTP2Callbacks.session(context).closeStream(stream, errorCode)
      return 0
    }
  }

  /// Where a stream's body comes from: its `Outbound`.
  static var dataProvider: nghttp2_data_provider {
    unsafe nghttp2_data_provider(source: nghttp2_data_source(ptr: nil)) { _, stream, buffer, length, flags, _, context in
      unsafe HTTP2Callbacks.session(context).fill(stream, UnsafeMutableBufferPointer(start: buffer, count: length), flags!)
    }
  }

  /// Lends header fields in nghttp2's form, which it copies.
  static func withFields<Value>(_ fields: [HeaderField], _ body: (UnsafePointer<nghttp2_nv>?, Int) -> Value) -> Value {
    var bytes: [UInt8] = []
    for field in fields {
      bytes.append(contentsOf: field.name.utf8)
      bytes.append(contentsOf: field.value.utf8)
    }
    // Never empty, so that it has an address.
    bytes.append(0)
    return unsafe bytes.withUnsafeMutableBufferPointer { buffer in
      var entries: [nghttp2_nv] = unsafe []
      var next = buffer.baseAddress!
      for field in fields {
        let (nameCount, valueCount) = (field.name.utf8.count, field.value.utf8.count)
        unsafe entries.append(
          nghttp2_nv(
            name: next, value: next + nameCount, namelen: nameCount, valuelen: valueCount, flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue)))
        unsafe next += nameCount + valueCount
      }
      return unsafe entries.withUnsafeBufferPointer { unsafe body($0.baseAddress, $0.count) }
    }
  }

  private static func session(_ context: UnsafeMutableRawPointer?) -> HTTP2Session {
    unsafe Unmanaged<HTTP2Session>.fromOpaque(context!).takeUnretainedValue()
  }
}

extension HTTP2Session {
  fileprivate func beginHeaders(_ stream: Int32) { headerFields[stream] = ([], 0) }

  /// Zero, or the code that resets the stream: a header block beyond its limit is a reason.
  fileprivate func addHeader(_ stream: Int32, _ field: HeaderField) -> Int32 {
    // RFC 9113, section 6.5.2: each field counts 32 bytes more than its text.
    let byteCount = field.name.utf8.count + field.value.utf8.count + 32
    guard let known = headerFields[stream], known.byteCount + byteCount <= settings.maximumHeaderBytes else {
      headerFields[stream] = nil
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue
    }
    headerFields[stream]?.fields.append(field)
    headerFields[stream]?.byteCount += byteCount
    return 0
  }

  fileprivate func addData(_ stream: Int32, _ bytes: [UInt8]) {
    // One stream's reader must not hold up the others: only the stream's own window stays taken.
    _ = unsafe nghttp2_session_consume_connection(session, bytes.count)
    events.append(.data(stream: stream, bytes: bytes))
  }

  fileprivate func addFrame(_ frame: UnsafePointer<nghttp2_frame>) {
    let header = unsafe frame.pointee.hd
    let endsStream = header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
    switch UInt32(header.type) {
    case NGHTTP2_HEADERS.rawValue:
      if let block = headerFields.removeValue(forKey: header.stream_id) {
        events.append(.headers(stream: header.stream_id, fields: block.fields, endsStream: endsStream))
      }
    case NGHTTP2_DATA.rawValue:
      if endsStream { events.append(.end(stream: header.stream_id)) }
    case NGHTTP2_SETTINGS.rawValue:
      if header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) == 0 { events.append(.settings) }
    case NGHTTP2_PING.rawValue:
      if header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0 { events.append(.pingAnswered) }
    case NGHTTP2_GOAWAY.rawValue:
      let frame = unsafe frame.pointee.goaway
      unsafe events.append(.goAway(lastStream: frame.last_stream_id, errorCode: frame.error_code))
    default: break
    }
  }

  fileprivate func closeStream(_ stream: Int32, _ errorCode: UInt32) {
    outbound[stream] = nil
    headerFields[stream] = nil
    events.append(.closed(stream: stream, errorCode: errorCode))
  }

  /// Copies what the stream has to send; how much, or the code that asks to come back later.
  fileprivate func fill(_ stream: Int32, _ buffer: UnsafeMutableBufferPointer<UInt8>, _ flags: UnsafeMutablePointer<UInt32>) -> Int {
    guard var queue = outbound[stream] else { return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue) }
    let count = min(buffer.count, queue.bytes.count - queue.start)
    if count == 0, !queue.isFinished {
      outbound[stream]?.isDeferred = true
      return Int(NGHTTP2_ERR_DEFERRED.rawValue)
    }
    // Taken out while it changes, so that it changes in place.
    outbound[stream] = Outbound()
    if count > 0 {
      unsafe queue.bytes.withUnsafeBufferPointer { unsafe buffer.baseAddress!.update(from: $0.baseAddress! + queue.start, count: count) }
    }
    queue.start += count
    let isEmpty = queue.start == queue.bytes.count
    if isEmpty || queue.start > 1 << 18 {
      queue.bytes.removeFirst(queue.start)
      queue.start = 0
    }
    if isEmpty, queue.isFinished {
      unsafe flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
      if let trailers = queue.trailers {
        unsafe flags.pointee |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
        _ = unsafe HTTP2Callbacks.withFields(trailers) { unsafe nghttp2_submit_trailer(session, stream, $0, $1) }
      }
    }
    outbound[stream] = queue
    return count
  }
}
