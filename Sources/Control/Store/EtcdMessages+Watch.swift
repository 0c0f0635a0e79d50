import Protobuf

extension Etcd {
  enum WatchRequest: ProtobufWritable {
    case create(WatchCreateRequest)
    case cancel(watchID: Int64)

    func encode(into writer: inout WireWriter) {
      switch self {
      case .create(let request): writer.message(1, request)
      case .cancel(let watchID): writer.message(2, WatchCancelRequest(watchID: watchID))
      }
    }
  }

  struct WatchCreateRequest: ProtobufWritable {
    var key: [UInt8]
    var rangeEnd: [UInt8] = []
    var startRevision: Int64
    /// Chosen by us, not 0.
    var watchID: Int64

    func encode(into writer: inout WireWriter) {
      writer.bytes(1, key)
      writer.bytes(2, rangeEnd)
      writer.int64(3, startRevision)
      // Now and then a quiet watch is told how far the store has come.
      writer.bool(4, true)
      writer.int64(7, watchID)
      // A response may be cut into pieces below the message limit.
      writer.bool(8, true)
    }
  }

  struct WatchCancelRequest: ProtobufWritable {
    var watchID: Int64

    func encode(into writer: inout WireWriter) { writer.int64(1, watchID) }
  }

  struct WatchResponse: EtcdResponse {
    var header = Header()
    var watchID: Int64 = 0
    var isCreated = false
    var isCancelled = false
    /// Not 0 if the watch asked for history that is gone.
    var compactRevision: Int64 = 0
    var cancelReason = ""
    /// More of the same response follows.
    var isFragment = false
    var events: [Event] = []

    mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
      switch field.number {
      case 1: header = try field.message()
      case 2: watchID = try field.int64()
      case 3: isCreated = try field.bool()
      case 4: isCancelled = try field.bool()
      case 5: compactRevision = try field.int64()
      case 6: cancelReason = try field.string()
      case 7: isFragment = try field.bool()
      case 11: events.append(try field.message())
      default: return false
      }
      return true
    }
  }

  struct Event: ProtobufReadable {
    var isDelete = false
    var entry = KeyValue()

    mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
      switch field.number {
      case 1: isDelete = try field.int32() == 1
      case 2: entry = try field.message()
      default: return false
      }
      return true
    }
  }
}
