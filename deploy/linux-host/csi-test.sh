#!/bin/bash
# The CSI node plugin on a real Linux kernel: `keelson dev` and its controller's socket on this machine, `keelson csi-node` in the Linux host
# (csi-guest.sh), calls by gRPC's own Python client. Also the handler of the guest's steps.
#
#   csi-test.sh          runs it all; KEELSON_BINARY is the binary, else the release build
#   STEPS="ext4 lost"    only these of: ext4 xfs btrfs block lost grow copy, and grow-block copy-btrfs readonly fenced, which are not run unless named
#   CSI_SANITY=PATH      also runs that csi-sanity (kubernetes-csi/csi-test, built by hand) in the guest, in mount and in block mode
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../library.sh"
guest_address=10.0.2.2

# call controller|node METHOD JSON
call() {
  local endpoint=unix:$KEELSON_DIR/csi/controller/csi.sock
  [[ $1 == controller ]] || endpoint=127.0.0.1:$NODE_PORT
  timeout 150 "$PYTHON" "$here/../csi_client.py" "$endpoint" "$2" "$3"
}

# capability FILESYSTEM|block : as JSON
capability() {
  [[ $1 == block ]] && echo '{"block":{},"access_mode":{"mode":1}}' || echo "{\"mount\":{\"fs_type\":\"$1\"},\"access_mode\":{\"mode\":1}}"
}

identity() { json 'd["volume"]["volume_id"]' <"$WORK/$1.volume"; }
publish_context() { json '__import__("json").dumps(d["publish_context"])' <"$WORK/$1.published"; }
volume_context() { json '__import__("json").dumps(d["volume"].get("volume_context", {}))' <"$WORK/$1.volume"; }
staging() { echo "/var/lib/kubelet/staging/$1"; }

case ${1:-} in
  # create NAME FILESYSTEM MIB [SOURCE-JSON] : and attaches it to the guest
  create)
    name=$2
    call controller CreateVolume "{\"name\":\"$name\",\"capacity_range\":{\"required_bytes\":$(($4 << 20))},\"parameters\":{\"keepAliveTmo\":\"10\"},
      \"volume_capabilities\":[$(capability "$3")]${5:+,\"volume_content_source\":$5}}" >"$WORK/$name.volume" || { cat "$WORK/$name.volume"; exit 1; }
    "$0" attach "$name" "$3"
    ;;
  attach)
    node=$(call node NodeGetInfo '{}' | json 'd["node_id"]')
    call controller ControllerPublishVolume "{\"volume_id\":\"$(identity "$2")\",\"node_id\":\"$node\",\"volume_capability\":$(capability "$3"),
      \"readonly\":${4:-false}}" >"$WORK/$2.published" || { cat "$WORK/$2.published"; exit 1; }
    ;;
  detach)
    node=$(call node NodeGetInfo '{}' | json 'd["node_id"]')
    call controller ControllerUnpublishVolume "{\"volume_id\":\"$(identity "$2")\",\"node_id\":\"$node\"}"
    ;;
  delete) call controller DeleteVolume "{\"volume_id\":\"$(identity "$2")\"}" ;;
  grow) call controller ControllerExpandVolume "{\"volume_id\":\"$(identity "$2")\",\"capacity_range\":{\"required_bytes\":$(($3 << 20))}}" ;;
  snapshot)
    call controller CreateSnapshot "{\"source_volume_id\":\"$(identity "$2")\",\"name\":\"$3\"}" >"$WORK/$3.snapshot" || { cat "$WORK/$3.snapshot"; exit 1; }
    ;;
  # restore SNAPSHOT NAME FILESYSTEM MIB
  restore)
    "$0" create "$3" "$4" "$5" "{\"snapshot\":{\"snapshot_id\":\"$(json 'd["snapshot"]["snapshot_id"]' <"$WORK/$2.snapshot")\"}}"
    ;;
  stage)
    call node NodeStageVolume "{\"volume_id\":\"$(identity "$2")\",\"publish_context\":$(publish_context "$2"),\"volume_context\":$(volume_context "$2"),
      \"staging_target_path\":\"$(staging "$2")\",\"volume_capability\":$(capability "$3")}"
    ;;
  publish)
    call node NodePublishVolume "{\"volume_id\":\"$(identity "$2")\",\"publish_context\":$(publish_context "$2"),
      \"staging_target_path\":\"$(staging "$2")\",\"target_path\":\"$4\",\"volume_capability\":$(capability "$3"),\"readonly\":${5:-false}}"
    ;;
  unpublish) call node NodeUnpublishVolume "{\"volume_id\":\"$(identity "$2")\",\"target_path\":\"$3\"}" ;;
  unstage) call node NodeUnstageVolume "{\"volume_id\":\"$(identity "$2")\",\"staging_target_path\":\"$(staging "$2")\"}" ;;
  expand)
    call node NodeExpandVolume "{\"volume_id\":\"$(identity "$2")\",\"volume_path\":\"$3\",\"capacity_range\":{\"required_bytes\":$(($4 << 20))}}"
    ;;
  stats) call node NodeGetVolumeStats "{\"volume_id\":\"$(identity "$2")\",\"volume_path\":\"$3\"}" ;;
  probe) call node Probe '{}' ;;
  # kill-server NAME : the node that serves the volume
  kill-server)
    export KEELSON_DIR
    name=$(volume_context "$2" | json 'd["name"]')
    node=$("$KEELSON_BINARY" volume show "$name" --output json | json 'd["nexus"]["node"]')
    process=$("$KEELSON_BINARY" node list --output json | NODE=$node json '[n["pid"] for n in d if n["name"] == __import__("os").environ["NODE"]][0]')
    kill -9 "$process"
    echo "killed process $process of node $node"
    ;;
  "")
    root=$(cd "$here/../.." && pwd)
    export KEELSON_BINARY=${KEELSON_BINARY:-$root/.build/release/keelson}
    [[ -x $KEELSON_BINARY ]] || fail "there is no binary $KEELSON_BINARY; build it with: swift build -c release --product keelson"
    PYTHON=$("$here/../grpcio.sh")
    WORK=$(mktemp -d "${TMPDIR:-/tmp}/keelson-csi-test.XXXXXX")
    KEELSON_DIR=$WORK/dev
    NODE_PORT=$(first_free_port 8)
    export PYTHON WORK KEELSON_DIR NODE_PORT
    controller_port=$((NODE_PORT + 1))
    finish() {
      local status=$?
      stop_dev
      ((status == 0)) || { echo "The end of the log of keelson dev:" && tail -n 40 "$WORK/dev.log"; } || true
      rm -rf "$WORK"
    }
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    start_dev "$KEELSON_BINARY" "$WORK/dev.log" --dir "$KEELSON_DIR" --nodes 3 --pool-size 8GiB --port "$((NODE_PORT + 2))" \
      --advertise "$guest_address" --csi-tcp "127.0.0.1:$controller_port"
    extra=()
    [[ -z ${CSI_SANITY:-} ]] || extra=(--program "$CSI_SANITY" --set "SANITY=$(basename "$CSI_SANITY")")
    setpriv --pdeathsig TERM "$here/run.sh" --timeout "${GUEST_SECONDS:-900}" --handler "$here/csi-test.sh" --forward "$NODE_PORT:9000" \
      --program "$KEELSON_BINARY" --set "KEELSON=/guest/bin/$(basename "$KEELSON_BINARY")" "${extra[@]}" \
      --set "CONTROLLER=$guest_address:$controller_port" --set "STEPS=${STEPS:-ext4 xfs btrfs block lost grow copy}" "$here/csi-guest.sh" &
    guest=$!
    trap 'kill "$guest" 2>/dev/null; exit 130' INT
    trap 'kill "$guest" 2>/dev/null; exit 143' TERM
    wait "$guest"
    echo "The CSI node plugin did all that was asked of it ($SECONDS s)"
    ;;
  *) fail "unknown step $1" ;;
esac
