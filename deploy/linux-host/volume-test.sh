#!/bin/bash
# Uses volumes of a real `keelson dev` from a real Linux host, kernel and all, while their daemons are killed.
#
#   volume-test.sh            runs the whole test; KEELSON_BINARY names the binary (default: the release build)
#
# The host is volume-guest.sh in the machine that run.sh boots; when it asks for a step, run.sh calls this script as
# `volume-test.sh STEP`, which does it from outside: kill a node, look at the volume, create the second volume.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../library.sh"
volume_bytes=$((1 << 30))
# The machine's loopback address as the guest sees it: what discovery must tell the host.
guest_address=10.0.2.2

keelson() {
  "$KEELSON_BINARY" "$@"
}

show() {
  keelson volume show "$1" --output json
}

# create NAME : creates a two-replica volume and prints its NQN, port and UUID.
create() {
  keelson volume create "$1" --size 1GiB --replicas 2 --output json >/dev/null
  # Every path that is a host's; the nexus's first.
  show "$1" | json '" ".join([d["paths"][0]["subnqn"], str(d["paths"][0]["trsvcid"]), d["id"]]
    + [p["trsvcid"] for p in d["paths"][1:] if p["traddr"] == "'"$guest_address"'"])'
}

process_of() {
  keelson node list --output json | NODE=$1 json '[n["pid"] for n in d if n["name"] == __import__("os").environ["NODE"]][0]'
}

kill_node() {
  local process
  process=$(process_of "$1")
  kill -9 "$process"
  echo "killed process $process of node $1"
}

# Waits until another process runs as node $1 than the process $2.
await_new_process() {
  local tenths process
  for ((tenths = 0; tenths < 300; tenths++)); do
    process=$(process_of "$1" 2>/dev/null || true)
    [[ -z $process || $process == None || $process == 0 || $process == "$2" ]] || ! kill -0 "$process" 2>/dev/null || return 0
    sleep 0.1
  done
  echo "node $1 did not come back within 30 s"
  return 1
}

case ${1:-} in
  kill-replica)
    node=$(show linux-a | json '[r["node"] for r in d["replicas"] if r["node"] != d["nexus"]["node"]][0]')
    kill_node "$node"
    ;;
  kill-nexus)
    node=$(show linux-b | json 'd["nexus"]["node"]')
    process=$(process_of "$node")
    kill_node "$node" >/dev/null
    await_new_process "$node" "$process"
    echo "killed process $process of node $node, which is back"
    ;;
  expect-healthy)
    for ((tenths = 0; tenths < 150; tenths++)); do
      state=$(show linux-a | json 'd["state"]')
      [[ $state != healthy ]] || break
      sleep 0.1
    done
    rebuilt=$(keelson rebuild list --volume linux-a --output json | json 'len([r for r in d if r["state"] == "done"])')
    echo "volume linux-a is $state, $rebuilt replica(s) came back"
    [[ $state == healthy ]] && ((rebuilt > 0))
    ;;
  create-second) create linux-b ;;
  "")
    root=$(cd "$here/../.." && pwd)
    export KEELSON_BINARY=${KEELSON_BINARY:-$root/.build/release/keelson}
    [[ -x $KEELSON_BINARY ]] || fail "there is no binary $KEELSON_BINARY; build it with: swift build -c release --product keelson"
    work=$(mktemp -d "${TMPDIR:-/tmp}/keelson-volume-test.XXXXXX")
    export KEELSON_DIR=$work/dev
    finish() {
      local status=$?
      stop_dev
      ((status == 0)) || { echo "The end of the log of keelson dev:" && tail -n 40 "$work/dev.log"; } || true
      rm -rf "$work"
    }
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    start_dev "$KEELSON_BINARY" "$work/dev.log" --dir "$KEELSON_DIR" --nodes 3 --pool-size 4GiB \
      --port "$(first_free_port 16)" --advertise "$guest_address"
    description=$(create linux-a)
    read -r nqn port uuid _ <<<"$description"
    echo "keelson dev is ready; its volume linux-a is $nqn on port $port"
    # In the background, so that a signal ends this script, and with it everything, without waiting for the guest.
    setpriv --pdeathsig TERM "$here/run.sh" --timeout 420 --handler "$here/volume-test.sh" --set "ADDRESS=$guest_address" --set "PORT=$port" \
      --set "NQN=$nqn" --set "UUID=$uuid" --set "BYTES=$volume_bytes" "$here/volume-guest.sh" &
    guest=$!
    trap 'kill "$guest" 2>/dev/null; exit 130' INT
    trap 'kill "$guest" 2>/dev/null; exit 143' TERM
    wait "$guest"
    echo "The Linux host found nothing wrong ($SECONDS s)"
    ;;
  *) fail "unknown step $1" ;;
esac
