import Protobuf

extension Etcd {
  /// Also adds users: both send a name and a password.
  struct CredentialsRequest: ProtobufWritable {
    var name: String
    var password: String

    func encode(into writer: inout WireWriter) {
      writer.string(1, name)
      writer.string(2, password)
    }
  }

  struct AuthenticateResponse: EtcdResponse {
    var header = Header()
    var token = ""

    mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
      switch field.number {
      case 1: header = try field.message()
      case 2: token = try field.string()
      default: return false
      }
      return true
    }
  }
}
