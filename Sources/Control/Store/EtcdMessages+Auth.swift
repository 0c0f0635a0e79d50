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

extension Etcd {
  struct NameRequest: ProtobufWritable {
    var name: String

    func encode(into writer: inout WireWriter) { writer.string(1, name) }
  }

  struct UserRoleRequest: ProtobufWritable {
    var user: String
    var role: String

    func encode(into writer: inout WireWriter) {
      writer.string(1, user)
      writer.string(2, role)
    }
  }

  /// What a role may do with the keys from `key` up to, without, `rangeEnd` (auth.proto).
  struct Permission: ProtobufWritable {
    enum Kind: Int32 {
      case read = 0
      case write = 1
      case readWrite = 2
    }

    var kind: Kind
    var key: [UInt8]
    var rangeEnd: [UInt8]

    func encode(into writer: inout WireWriter) {
      writer.int32(1, kind.rawValue)
      writer.bytes(2, key)
      writer.bytes(3, rangeEnd)
    }
  }

  struct RolePermissionRequest: ProtobufWritable {
    var role: String
    var permission: Permission

    func encode(into writer: inout WireWriter) {
      writer.string(1, role)
      writer.message(2, permission)
    }
  }
}
