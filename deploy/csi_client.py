"""A CSI client over gRPC's own Python library, for tests: csi_client.py ENDPOINT METHOD [JSON].

The messages are built from the table below (CSI 1.12, csi.proto), by Google's protobuf library. Prints the answer as JSON, or the status and
its message, with exit status 1.
"""
import json
import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

# Message: field=number:type, * for repeated; nested messages under joined names; enums as their numbers.
SCHEMA = """
BoolValue: value=1:bool
Int64Value: value=1:int64
Timestamp: seconds=1:int64 nanos=2:int32
GetPluginInfoRequest:
GetPluginInfoResponse: name=1:string vendor_version=2:string manifest=3:map
GetPluginCapabilitiesRequest:
GetPluginCapabilitiesResponse: capabilities=1:PluginCapability*
PluginCapability: service=1:PluginCapabilityService volume_expansion=2:PluginCapabilityVolumeExpansion
PluginCapabilityService: type=1:int32
PluginCapabilityVolumeExpansion: type=1:int32
ProbeRequest:
ProbeResponse: ready=1:BoolValue
CreateVolumeRequest: name=1:string capacity_range=2:CapacityRange volume_capabilities=3:VolumeCapability* parameters=4:map secrets=5:map volume_content_source=6:VolumeContentSource accessibility_requirements=7:TopologyRequirement mutable_parameters=8:map
VolumeContentSource: snapshot=1:VolumeContentSourceSnapshotSource volume=2:VolumeContentSourceVolumeSource
VolumeContentSourceSnapshotSource: snapshot_id=1:string
VolumeContentSourceVolumeSource: volume_id=1:string
CreateVolumeResponse: volume=1:Volume
VolumeCapability: block=1:VolumeCapabilityBlockVolume mount=2:VolumeCapabilityMountVolume access_mode=3:VolumeCapabilityAccessMode
VolumeCapabilityBlockVolume:
VolumeCapabilityMountVolume: fs_type=1:string mount_flags=2:string* volume_mount_group=3:string
VolumeCapabilityAccessMode: mode=1:int32
CapacityRange: required_bytes=1:int64 limit_bytes=2:int64
Volume: capacity_bytes=1:int64 volume_id=2:string volume_context=3:map content_source=4:VolumeContentSource accessible_topology=5:Topology*
TopologyRequirement: requisite=1:Topology* preferred=2:Topology*
Topology: segments=1:map
DeleteVolumeRequest: volume_id=1:string secrets=2:map
DeleteVolumeResponse:
ControllerPublishVolumeRequest: volume_id=1:string node_id=2:string volume_capability=3:VolumeCapability readonly=4:bool secrets=5:map volume_context=6:map
ControllerPublishVolumeResponse: publish_context=1:map
ControllerUnpublishVolumeRequest: volume_id=1:string node_id=2:string secrets=3:map
ControllerUnpublishVolumeResponse:
ValidateVolumeCapabilitiesRequest: volume_id=1:string volume_context=2:map volume_capabilities=3:VolumeCapability* parameters=4:map secrets=5:map mutable_parameters=6:map
ValidateVolumeCapabilitiesResponse: confirmed=1:ValidateVolumeCapabilitiesResponseConfirmed message=2:string
ValidateVolumeCapabilitiesResponseConfirmed: volume_context=1:map volume_capabilities=2:VolumeCapability* parameters=3:map mutable_parameters=4:map
ListVolumesRequest: max_entries=1:int32 starting_token=2:string
ListVolumesResponse: entries=1:ListVolumesResponseEntry* next_token=2:string
ListVolumesResponseVolumeStatus: published_node_ids=1:string* volume_condition=2:VolumeCondition
ListVolumesResponseEntry: volume=1:Volume status=2:ListVolumesResponseVolumeStatus
ControllerGetVolumeRequest: volume_id=1:string
ControllerGetVolumeResponse: volume=1:Volume status=2:ControllerGetVolumeResponseVolumeStatus
ControllerGetVolumeResponseVolumeStatus: published_node_ids=1:string* volume_condition=2:VolumeCondition
GetCapacityRequest: volume_capabilities=1:VolumeCapability* parameters=2:map accessible_topology=3:Topology
GetCapacityResponse: available_capacity=1:int64 maximum_volume_size=2:Int64Value minimum_volume_size=3:Int64Value
ControllerGetCapabilitiesRequest:
ControllerGetCapabilitiesResponse: capabilities=1:ControllerServiceCapability*
ControllerServiceCapability: rpc=1:ControllerServiceCapabilityRPC
ControllerServiceCapabilityRPC: type=1:int32
CreateSnapshotRequest: source_volume_id=1:string name=2:string secrets=3:map parameters=4:map
CreateSnapshotResponse: snapshot=1:Snapshot
Snapshot: size_bytes=1:int64 snapshot_id=2:string source_volume_id=3:string creation_time=4:Timestamp ready_to_use=5:bool group_snapshot_id=6:string
DeleteSnapshotRequest: snapshot_id=1:string secrets=2:map
DeleteSnapshotResponse:
ListSnapshotsRequest: max_entries=1:int32 starting_token=2:string source_volume_id=3:string snapshot_id=4:string secrets=5:map
ListSnapshotsResponse: entries=1:ListSnapshotsResponseEntry* next_token=2:string
ListSnapshotsResponseEntry: snapshot=1:Snapshot
ControllerExpandVolumeRequest: volume_id=1:string capacity_range=2:CapacityRange secrets=3:map volume_capability=4:VolumeCapability
ControllerExpandVolumeResponse: capacity_bytes=1:int64 node_expansion_required=2:bool
NodeStageVolumeRequest: volume_id=1:string publish_context=2:map staging_target_path=3:string volume_capability=4:VolumeCapability secrets=5:map volume_context=6:map
NodeStageVolumeResponse:
NodeUnstageVolumeRequest: volume_id=1:string staging_target_path=2:string
NodeUnstageVolumeResponse:
NodePublishVolumeRequest: volume_id=1:string publish_context=2:map staging_target_path=3:string target_path=4:string volume_capability=5:VolumeCapability readonly=6:bool secrets=7:map volume_context=8:map
NodePublishVolumeResponse:
NodeUnpublishVolumeRequest: volume_id=1:string target_path=2:string
NodeUnpublishVolumeResponse:
NodeGetVolumeStatsRequest: volume_id=1:string volume_path=2:string staging_target_path=3:string
NodeGetVolumeStatsResponse: usage=1:VolumeUsage* volume_condition=2:VolumeCondition
VolumeUsage: available=1:int64 total=2:int64 used=3:int64 unit=4:int32
VolumeCondition: abnormal=1:bool message=2:string
NodeGetCapabilitiesRequest:
NodeGetCapabilitiesResponse: capabilities=1:NodeServiceCapability*
NodeServiceCapability: rpc=1:NodeServiceCapabilityRPC
NodeServiceCapabilityRPC: type=1:int32
NodeGetInfoRequest:
NodeGetInfoResponse: node_id=1:string max_volumes_per_node=2:int64 accessible_topology=3:Topology
NodeExpandVolumeRequest: volume_id=1:string volume_path=2:string capacity_range=3:CapacityRange staging_target_path=4:string volume_capability=5:VolumeCapability secrets=6:map
NodeExpandVolumeResponse: capacity_bytes=1:int64
"""


def _messages():
    file = descriptor_pb2.FileDescriptorProto(name="keelson_csi.proto", package="csi.v1", syntax="proto3")
    scalars = {"string": 9, "int64": 3, "int32": 5, "bool": 8}
    for line in SCHEMA.strip().splitlines():
        name, _, fields = line.partition(":")
        message = file.message_type.add(name=name)
        for field in fields.split():
            label, _, rest = field.partition("=")
            number, _, kind = rest.partition(":")
            is_repeated = kind.endswith("*")
            kind = kind.rstrip("*")
            added = message.field.add(name=label, number=int(number), label=3 if is_repeated else 1)
            if kind == "map":
                entry = message.nested_type.add(name="".join(p.capitalize() for p in label.split("_")) + "Entry")
                entry.options.map_entry = True
                entry.field.add(name="key", number=1, label=1, type=9)
                entry.field.add(name="value", number=2, label=1, type=9)
                added.label, added.type, added.type_name = 3, 11, f".csi.v1.{name}.{entry.name}"
            elif kind in scalars:
                added.type = scalars[kind]
            else:
                added.type, added.type_name = 11, f".csi.v1.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        m.name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"csi.v1.{m.name}")) for m in file.message_type
    }


MESSAGES = _messages()


def _service(method):
    if method in ("GetPluginInfo", "GetPluginCapabilities", "Probe"):
        return "Identity"
    return "Node" if method.startswith("Node") else "Controller"


class Client:
    """Calls by name: client.CreateVolume(name="a", ...) takes and gives dictionaries. A status other than OK is a grpc.RpcError."""

    def __init__(self, endpoint, timeout=120):
        self.channel = grpc.insecure_channel(endpoint)
        self.timeout = timeout

    def call(self, method, fields=None, future=False):
        response = MESSAGES[method + "Response"]
        request = json_format.ParseDict(fields or {}, MESSAGES[method + "Request"]())
        stub = self.channel.unary_unary(
            f"/csi.v1.{_service(method)}/{method}", request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=response.FromString)
        if future:
            return stub.future(request, timeout=self.timeout)
        return self.plain(stub(request, timeout=self.timeout))

    @staticmethod
    def plain(message):
        return json_format.MessageToDict(message, preserving_proto_field_name=True)

    def __getattr__(self, method):
        return lambda **fields: self.call(method, fields)

    def status(self, method, **fields):
        """The status code's name."""
        try:
            self.call(method, fields)
        except grpc.RpcError as error:
            return error.code().name
        return "OK"


if __name__ == "__main__":
    endpoint, method = sys.argv[1:3]
    try:
        print(json.dumps(Client(endpoint).call(method, json.loads(sys.argv[3]) if len(sys.argv) > 3 else {})))
    except grpc.RpcError as error:
        print(f"{error.code().name}: {error.details()}")
        sys.exit(1)
