import Console
import Control

extension VolumeView {
  var json: JSONValue {
    let replicaValues = replicas.map { replica -> JSONValue in
      [
        "id": .string("\(replica.id)"), "node": .string(replica.node), "pool": .string(replica.pool),
        "state": .string(replica.state.rawValue),
      ]
    }
    let pathValues = paths.map { path -> JSONValue in
      [
        "trtype": .string(path.trtype), "adrfam": .string(path.adrfam), "traddr": .string(path.traddr), "trsvcid": .string(path.trsvcid),
        "subnqn": .string(path.subnqn), "node": .string(path.node), "ana_state": .string(path.anaState),
      ]
    }
    var members: [JSONValue.Member] = [
      .init("name", .string(name)),
      .init("id", .string("\(id)")),
      .init("size", .unsigned(size)),
      .init("block_size", .unsigned(UInt64(blockSize))),
      .init("state", .string(state.rawValue)),
      .init("nexus", nexus.map { ["node": .string($0.node)] } ?? .null),
      .init("replicas", .array(replicaValues)),
      .init("paths", .array(pathValues)),
    ]
    if let isThick { members.append(.init("thick", .bool(isThick))) }
    if let message { members.append(.init("message", .string(message))) }
    return .object(members)
  }
}

extension NodeView {
  var json: JSONValue {
    let addressValues = addresses.map { address -> JSONValue in
      ["adrfam": .string(address.adrfam), "traddr": .string(address.traddr), "trsvcid": .string(address.trsvcid)]
    }
    return [
      "name": .string(name), "pid": pid.map { .integer(Int64($0)) } ?? .null, "state": .string(state), "addresses": .array(addressValues),
    ]
  }
}

extension PoolView {
  var json: JSONValue {
    var members: [JSONValue.Member] = [
      .init("name", .string(name)), .init("node", .string(node)), .init("uuid", .string(uuid)), .init("kind", .string(kind)),
      .init("path", .string(path)), .init("size", .unsigned(size)), .init("allocated", .unsigned(allocated)),
      .init("free", .unsigned(free)), .init("promised", .unsigned(promised)),
      .init("overcommit", overcommit.map { .unsigned(UInt64($0)) } ?? .null), .init("cluster_size", .unsigned(clusterSize)),
      .init("state", .string(state)),
    ]
    if let errors { members.append(.init("errors", .string(errors))) }
    if let message { members.append(.init("message", .string(message))) }
    return .object(members)
  }
}

extension ReplicaView {
  var json: JSONValue {
    [
      "id": .string("\(id)"), "volume": .string(volume), "node": .string(node), "pool": .string(pool), "size": .unsigned(size),
      "state": .string(state.rawValue), "subnqn": .string(subnqn),
    ]
  }
}
