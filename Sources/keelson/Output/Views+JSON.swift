import Console
import Control
import Foundation

extension VolumeView {
  var json: JSONValue {
    let replicaValues = replicas.map { replica -> JSONValue in
      var members: [JSONValue.Member] = [
        .init("id", .string("\(replica.id)")), .init("node", .string(replica.node)), .init("pool", .string(replica.pool)),
        .init("state", .string(replica.state.rawValue)),
      ]
      if let reason = replica.reason { members.append(.init("reason", .string(reason))) }
      if let slow = replica.slow { members.append(.init("slow", .string(slow))) }
      if let rebuild = replica.rebuild { members.append(.init("rebuild", rebuild.json)) }
      return .object(members)
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
    if let slowReplicas { members.append(.init("slow_replicas", .string(slowReplicas.rawValue))) }
    if let scrub { members.append(.init("scrub", scrub.json)) }
    if let publications { members.append(.init("publications", .array(publications.map(\.json)))) }
    if let isThick { members.append(.init("thick", .bool(isThick))) }
    if let message { members.append(.init("message", .string(message))) }
    return .object(members)
  }
}

extension Publication {
  var json: JSONValue {
    var members: [JSONValue.Member] = [
      .init("host_nqn", .string(hostNQN)), .init("read_only", .bool(readOnly)), .init("mode", .string(mode.rawValue)),
    ]
    if let nodeName { members.append(.init("node_name", .string(nodeName))) }
    return .object(members)
  }
}

extension PublishedVolume {
  var json: JSONValue {
    let paths = paths.map { path -> JSONValue in
      ["node": .string(path.node), "address": .string(path.address), "port": .string(path.port)]
    }
    return [
      "name": .string(name), "id": .string("\(volumeID)"), "subnqn": .string(subnqn), "nguid": .string(nguid),
      "publication": publication.json, "paths": .array(paths),
    ]
  }
}

extension RebuildStatus {
  var json: JSONValue { .object(jsonMembers) }

  var jsonMembers: [JSONValue.Member] {
    var members: [JSONValue.Member] = [
      .init("replica", .string("\(replica)")), .init("node", .string(node)), .init("kind", .string(kind.rawValue)),
      .init("state", .string(state.rawValue)), .init("cause", .string(cause)), .init("bytes_to_do", .unsigned(bytesToDo)),
      .init("bytes_done", .unsigned(bytesDone)), .init("bytes_read", .unsigned(bytesRead)), .init("bytes_sent", .unsigned(bytesSent)),
      .init("bytes_per_second", .unsigned(bytesPerSecond)), .init("started_at", .string(startedAt.formatted(.iso8601))),
    ]
    if let endedAt { members.append(.init("ended_at", .string(endedAt.formatted(.iso8601)))) }
    if let secondsLeft { members.append(.init("seconds_left", .unsigned(secondsLeft))) }
    if let failure { members.append(.init("failure", .string(failure))) }
    return members
  }
}

extension RebuildView {
  var json: JSONValue {
    .object(
      [.init("volume", .string(volume))] + rebuild.jsonMembers + [
        .init("limit_bytes_per_second", policy?.bytesPerSecond.map { .unsigned($0) } ?? .null)
      ])
  }
}

extension VolumeExplanation {
  var json: JSONValue {
    func sentences(_ texts: [String]) -> JSONValue { .array(texts.map { .string($0) }) }
    return [
      "name": .string(volume.name), "id": .string("\(volume.id)"), "state": .string(volume.state.rawValue), "why": sentences(why),
      "running": sentences(running), "next": sentences(next), "help": help.map { .string($0) } ?? .null,
    ]
  }
}

extension NodeView {
  var json: JSONValue {
    let addressValues = addresses.map { address -> JSONValue in
      ["adrfam": .string(address.adrfam), "traddr": .string(address.traddr), "trsvcid": .string(address.trsvcid)]
    }
    return [
      "name": .string(name), "pid": pid.map { .integer(Int64($0)) } ?? .null, "state": .string(state), "addresses": .array(addressValues),
      "cordoned": .bool(isCordoned), "draining": .bool(isDraining),
      "labels": .object(labels.sorted { $0.key < $1.key }.map { .init($0.key, .string($0.value)) }),
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
