#!/bin/bash
# A cluster of three nodes, each with an etcd member and a controller in a network namespace of its own, and a Linux host with native multipath
# in another: nodes die, lose their power or their network, are moved away from, and etcd goes away. No error, and bounded pauses.
#
#   cluster-test.sh           as root; KEELSON_BINARY names the binary (default: the release build). EVENTS chooses what happens.
#
# The host is failover-guest.sh in the machine that run.sh boots; its steps are done here, as `cluster-test.sh STEP`. Nothing outside of the
# namespaces made here is touched, and nothing is left behind.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../library.sh"
volume=moving
# Reachable inside of the namespaces alone.
network=10.77.0
nodes=(1 2 3)

space() {
  echo "$CLUSTER_PREFIX-$1"
}

inside() {
  local name
  name=$(space "$1")
  shift
  ip netns exec "$name" "$@"
}

# start NAME SPACE COMMAND... : starts a process in a namespace, its number and its log under the work folder.
start() {
  local name=$1 where=$2
  shift 2
  # Its own machine's member of etcd first.
  local store=etcd://$network.$where:2379 other
  for other in $(others "$where"); do store+=,$network.$other:2379; done
  ip netns exec "$(space "$where")" env KEELSON_STORE="$store" setsid "$@" >>"$CLUSTER_WORK/$name.log" 2>&1 </dev/null &
  echo $! >"$CLUSTER_WORK/$name.pid"
  disown
}

runs() {
  local pid
  pid=$(cat "$CLUSTER_WORK/$1.pid" 2>/dev/null) && kill -0 "$pid" 2>/dev/null
}

# end NAME SIGNAL
end() {
  local pid
  pid=$(cat "$CLUSTER_WORK/$1.pid" 2>/dev/null) && kill "-$2" "$pid" 2>/dev/null || true
}

start_etcd() {
  local members=n1=http://$network.1:2380,n2=http://$network.2:2380,n3=http://$network.3:2380
  runs "etcd-$1" || start "etcd-$1" "$1" etcd --name "n$1" --data-dir "$CLUSTER_WORK/etcd-$1" --initial-cluster "$members" \
    --initial-cluster-state new --listen-peer-urls "http://$network.$1:2380" --initial-advertise-peer-urls "http://$network.$1:2380" \
    --listen-client-urls "http://$network.$1:2379" --advertise-client-urls "http://$network.$1:2379" --log-level error
}

start_controller() {
  runs "controller-$1" || start "controller-$1" "$1" "$KEELSON_BINARY" controller --name "node-$1"
}

start_node() {
  runs "node-$1" || start "node-$1" "$1" "$KEELSON_BINARY" node --name "node-$1" --listen "$network.$1:4420" \
    --pool "disk=$CLUSTER_WORK/node-$1.pool" --pool-size 1GiB
}

start_all() {
  local node
  for node in "${nodes[@]}"; do start_etcd "$node"; done
  for node in "${nodes[@]}"; do start_controller "$node" && start_node "$node"; done
}

keelson() {
  inside host timeout 20 "$KEELSON_BINARY" "$@"
}

show() {
  keelson volume show $volume --output json
}

nexus_node() {
  show | json 'd["nexus"]["node"].split("-")[1]'
}

others() {
  local node
  for node in "${nodes[@]}"; do [[ $node == "$1" ]] || echo "$node"; done
}

# cut add|del NODE : takes its ways to the other nodes, not to the host, and theirs to it.
cut_peers() {
  local other
  for other in $(others "$2"); do
    inside "$2" ip route "$1" blackhole "$network.$other/32" 2>/dev/null || true
    inside "$other" ip route "$1" blackhole "$network.$2/32" 2>/dev/null || true
  done
}

await_healthy() {
  local tenths state=unknown
  for ((tenths = 0; tenths < 300; tenths++)); do
    state=$(show 2>/dev/null | json 'd["state"]' 2>/dev/null || true)
    [[ $state != healthy ]] || return 0
    sleep 0.1
  done
  echo "volume $volume is $state"
  return 1
}

case ${1:-} in
  kill-node*)
    node=$(nexus_node)
    end "node-$node" KILL
    echo "node-$node, which served the volume, was killed"
    ;;
  power-off*)
    node=$(nexus_node)
    inside "$node" ip link set eth0 down
    for name in "node-$node" "etcd-$node" "controller-$node"; do end "$name" KILL; done
    echo "node-$node lost its power"
    ;;
  cut-peers*)
    node=$(nexus_node)
    cut_peers add "$node"
    echo "node-$node can reach the host alone"
    ;;
  kill-controller)
    for node in "${nodes[@]}"; do end "controller-$node" KILL; done
    echo "all controllers were killed"
    ;;
  etcd-away)
    for node in "${nodes[@]}"; do end "etcd-$node" STOP; done
    sleep "${ETCD_AWAY_SECONDS:-6}"
    for node in "${nodes[@]}"; do end "etcd-$node" CONT; done
    echo "etcd was away for ${ETCD_AWAY_SECONDS:-6} s"
    ;;
  move*)
    from=$(nexus_node)
    to=$(others "$from" | head -n 1)
    keelson volume move $volume "node-$to" >/dev/null
    keelson volume move $volume any >/dev/null
    echo "moved from node-$from to node-$to"
    ;;
  settle)
    for node in "${nodes[@]}"; do
      cut_peers del "$node"
      inside "$node" ip link set eth0 up
    done
    start_all
    await_healthy
    ;;
  "")
    [[ $(id -u) == 0 ]] || fail "network namespaces need root"
    command -v etcd >/dev/null || fail "etcd is missing; Debian's package is etcd-server"
    root=$(cd "$here/../.." && pwd)
    export KEELSON_BINARY=${KEELSON_BINARY:-$root/.build/release/keelson}
    [[ -x $KEELSON_BINARY ]] || fail "there is no binary $KEELSON_BINARY; build it with: swift build -c release --product keelson"
    # What it boots from may have to be downloaded, which the namespaces cannot.
    "$here/image.sh" >/dev/null || fail "there is nothing to boot the host from"
    CLUSTER_WORK=$(mktemp -d "${TMPDIR:-/tmp}/keelson-cluster-test.XXXXXX")
    CLUSTER_PREFIX=kl$$
    export CLUSTER_WORK CLUSTER_PREFIX
    export KEELSON_STORE=etcd://$network.1:2379,$network.2:2379,$network.3:2379
    finish() {
      local status=$? name
      for name in "$CLUSTER_WORK"/*.pid; do end "$(basename "$name" .pid)" KILL; done
      for name in switch host "${nodes[@]}"; do ip netns del "$(space "$name")" 2>/dev/null || true; done
      ((status == 0)) || tail -n 40 "$CLUSTER_WORK"/*.log || true
      [[ -z ${KEEP_LOGS:-} ]] || { mkdir -p "$KEEP_LOGS" && cp "$CLUSTER_WORK"/*.log "$KEEP_LOGS"; }
      rm -rf "$CLUSTER_WORK"
    }
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    ip netns add "$(space switch)"
    inside switch ip link add bridge type bridge
    inside switch ip link set bridge up
    for name in "${nodes[@]}" host; do
      number=$name
      [[ $name != host ]] || number=100
      ip netns add "$(space "$name")"
      inside "$name" ip link set lo up
      inside switch ip link add "port-$name" type veth peer name eth0 netns "$(space "$name")"
      inside switch ip link set "port-$name" master bridge up
      inside "$name" ip addr add "$network.$number/24" dev eth0
      inside "$name" ip link set eth0 up
    done
    for node in "${nodes[@]}"; do start_etcd "$node"; done
    for ((tenths = 0; tenths < 200; tenths++)); do
      inside host python3 -c "import urllib.request as u; u.urlopen('http://$network.1:2379/health', timeout=2)" 2>/dev/null && break
      sleep 0.1
    done
    start_all
    for ((tenths = 0; tenths < 200; tenths++)); do
      [[ $(keelson node list --output json 2>/dev/null | json 'len([n for n in d if n["state"] == "ready"])' 2>/dev/null) != 3 ]] || break
      sleep 0.1
    done
    keelson volume create $volume --size 256MiB --replicas 3 --access any --output json >/dev/null
    paths=
    for ((tenths = 0; tenths < 50; tenths++)); do
      paths=$(show | json '" ".join(p["traddr"] + ":" + p["trsvcid"] for p in d["paths"])')
      [[ $(wc -w <<<"$paths") != 3 ]] || break
      sleep 0.1
    done
    nqn=$(show | json 'd["paths"][0]["subnqn"]')
    echo "a cluster of three nodes is ready; $nqn is at $paths"
    ip netns exec "$(space host)" setpriv --pdeathsig TERM "$here/run.sh" --timeout "${TIMEOUT:-500}" --handler "$here/cluster-test.sh" \
      --set "NQN=$nqn" --set "PATHS=$paths" --set "KEEP_ALIVE=2" --set "LOAD_SECONDS=${LOAD_SECONDS:-14}" \
      --set "EVENTS=${EVENTS:-move:1000 kill-node:5000 power-off:10000 cut-peers:20000 etcd-away:1000 kill-controller:1000}" \
      "$here/failover-guest.sh" &
    guest=$!
    trap 'kill "$guest" 2>/dev/null; exit 130' INT
    trap 'kill "$guest" 2>/dev/null; exit 143' TERM
    wait "$guest"
    echo "The Linux host found nothing wrong ($SECONDS s)"
    ;;
  *) fail "unknown step $1" ;;
esac
