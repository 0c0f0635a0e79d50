import Foundation
import Protobuf

/// The part of etcd v3's messages that the store uses (etcd API, rpc.proto and kv.proto; the numbers are the fields' there). Requests are
/// only written, responses only read.
enum Etcd {
  /// Comes with every response.
  struct Header: ProtobufReadable {
    var clusterID: UInt64 = 0
    var revision: Int64 = 0

    mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
      switch field.number {
      case 1: clusterID = try field.uint64()
      case 3: revision = try field.int64()
      default: return false
      }
      return true
    }
  }

  struct KeyValue: ProtobufReadable {
    var key: [UInt8] = []
    var createRevision: Int64 = 0
    var modRevision: Int64 = 0
    var version: Int64 = 0
    var value: [UInt8] = []
    var lease: Int64 = 0

    mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
      switch field.number {
      case 1: key = try field.bytes()
      case 2: createRevision = try field.int64()
      case 3: modRevision = try field.int64()
      case 4: version = try field.int64()
      case 5: value = try field.bytes()
      case 6: lease = try field.int64()
      default: return false
      }
      return true
    }
  }

  /// Keys from `key` up to, without, `rangeEnd`; the one key if that is empty.
  struct RangeRequest: ProtobufWritable {
    var key: [UInt8]
    var rangeEnd: [UInt8] = []
    var limit: Int64 = 0
    /// 0 reads the newest revision.
    var revision: Int64 = 0
    var isKeysOnly = false

    func encode(into writer: inout WireWriter) {
      writer.bytes(1, key)
      writer.bytes(2, rangeEnd)
      writer.int64(3, limit)
      writer.int64(4, revision)
      writer.bool(8, isKeysOnly)
    }
  }

  struct RangeResponse: EtcdResponse {
    var header = Header()
    var entries: [KeyValue] = []
    var hasMore = false

    mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
      switch field.number {
      case 1: header = try field.message()
      case 2: entries.append(try field.message())
      case 3: hasMore = try field.bool()
      default: return false
      }
      return true
    }
  }

  struct PutRequest: ProtobufWritable {
    var key: [UInt8]
    var value: [UInt8]
    var lease: Int64 = 0

    func encode(into writer: inout WireWriter) {
      writer.bytes(1, key)
      writer.bytes(2, value)
      writer.int64(3, lease)
    }
  }

  struct DeleteRequest: ProtobufWritable {
    var key: [UInt8]

    func encode(into writer: inout WireWriter) { writer.bytes(1, key) }
  }

  struct Compare: ProtobufWritable {
    enum Target {
      case createRevision(Int64)
      case modRevision(Int64)
      case value([UInt8])
    }

    var key: [UInt8]
    var target: Target

    func encode(into writer: inout WireWriter) {
      // Result (field 1) is EQUAL, the default. A member of the union is always sent: without it etcd compares with what it likes.
      switch target {
      case .createRevision(let revision):
        writer.int32(2, 1)
        writer.bytes(3, key)
        writer.int64(5, revision, keepsDefault: true)
      case .modRevision(let revision):
        writer.int32(2, 2)
        writer.bytes(3, key)
        writer.int64(6, revision, keepsDefault: true)
      case .value(let value):
        writer.int32(2, 3)
        writer.bytes(3, key)
        writer.bytes(7, value, keepsDefault: true)
      }
    }
  }

  enum Operation: ProtobufWritable {
    case range(RangeRequest)
    case put(PutRequest)
    case delete(DeleteRequest)

    func encode(into writer: inout WireWriter) {
      switch self {
      case .range(let request): writer.message(1, request)
      case .put(let request): writer.message(2, request)
      case .delete(let request): writer.message(3, request)
      }
    }
  }

  struct TransactionRequest: ProtobufWritable {
    var compares: [Compare] = []
    var success: [Operation] = []
    var failure: [Operation] = []

    func encode(into writer: inout WireWriter) {
      writer.messages(1, compares)
      writer.messages(2, success)
      writer.messages(3, failure)
    }
  }

  struct TransactionResponse: EtcdResponse {
    var header = Header()
    var hasSucceeded = false
    var results: [OperationResult] = []

    mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
      switch field.number {
      case 1: header = try field.message()
      case 2: hasSucceeded = try field.bool()
      case 3: results.append(try field.message())
      default: return false
      }
      return true
    }
  }

  /// What one operation gave; only readings say something of use.
  struct OperationResult: ProtobufReadable {
    var range: RangeResponse?

    mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
      if field.number != 1 { return false }
      range = try field.message(merging: range)
      return true
    }
  }
}

/// A response with the header that names the cluster.
protocol EtcdResponse: ProtobufReadable {
  var header: Etcd.Header { get }
}
