import Protobuf

extension Etcd {
  struct LeaseGrantRequest: ProtobufWritable {
    var ttlSeconds: Int64
    var id: Int64

    func encode(into writer: inout WireWriter) {
      writer.int64(1, ttlSeconds)
      writer.int64(2, id)
    }
  }

  struct LeaseGrantResponse: EtcdResponse {
    var header = Header()
    var id: Int64 = 0
    var ttlSeconds: Int64 = 0

    mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
      switch field.number {
      case 1: header = try field.message()
      case 2: id = try field.int64()
      case 3: ttlSeconds = try field.int64()
      default: return false
      }
      return true
    }
  }

  /// Revocation and keep-alive ask with the id alone.
  struct LeaseRequest: ProtobufWritable {
    var id: Int64

    func encode(into writer: inout WireWriter) { writer.int64(1, id) }
  }

  struct LeaseKeepAliveResponse: EtcdResponse {
    var header = Header()
    /// 0 or less if there is no such lease.
    var ttlSeconds: Int64 = 0

    mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
      switch field.number {
      case 1: header = try field.message()
      case 3: ttlSeconds = try field.int64()
      default: return false
      }
      return true
    }
  }

  /// A response of which only the header is of use.
  struct PlainResponse: EtcdResponse {
    var header = Header()

    mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
      if field.number != 1 { return false }
      header = try field.message()
      return true
    }
  }
}
