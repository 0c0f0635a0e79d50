#!/bin/bash
# A cluster of three machines, each with an etcd member, a controller and a node, and a Linux host with native multipath: nodes die, lose their
# power or their network, in one direction or both, are moved away from and restarted, controllers and etcd go away. No error, and bounded pauses.
#
#   cluster-test.sh           as root; KEELSON_BINARY names the binary (default: the release build)
#
# EVENTS chooses what happens, "step:goal in ms[:seconds of load] ..." (default: what is told apart by its cause; `all`: everything, some twenty
# minutes). For each event it prints when what happened, and in the end a table; EVENTS_JSON names a file for that, one object in a line.
#
# Each process group that can be cut off on its own is in a network namespace of its own: of machine N, the node with its etcd member, and the
# controller. The host is failover-guest.sh in the machine that run.sh boots; its steps are done here, as `cluster-test.sh STEP`. Nothing outside
# of the namespaces made here is touched, and nothing is left behind.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../library.sh"
source "$here/events.sh"
volume=moving
# Reachable inside of the namespaces alone: machine N's node and etcd member at .N, its controller at .1N.
network=10.77.0
nodes=(1 2 3)
usual="move:1000 kill-node:5000 power-off:10000 cut-peers:6000 cut-out:6000 etcd-away-kill:25000:30 kill-controller:1000"
every="move:1000 kill-node:5000 power-off:6000 power-off-leader:10000:20 power-off-standby:6000 cut-peers:6000 cut-out:6000 cut-in:6000 cut-node:10000
  cut-controller:1000 kill-controller:1000 kill-etcd:1000 etcd-away:1000:75 etcd-away-kill:35000:45
  restart-1:1000 restart-2:1000 restart-3:1000 restart-1-twice:1000:25 restart-2-twice:1000:25 restart-3-twice:1000:25
  reboot-1:1000:20 reboot-2:1000:20 reboot-3:1000:20 power-all:60000:30"

space() {
  echo "$CLUSTER_PREFIX-$1"
}

inside() {
  local name
  name=$(space "$1")
  shift
  ip netns exec "$name" "$@"
}

# start NAME SPACE MACHINE COMMAND... : starts a process in a namespace, its number and its log under the work folder.
start() {
  local name=$1 where=$2 machine=$3
  shift 3
  # Its own machine's member of etcd first.
  local store=etcd://$network.$machine:2379 other
  for other in $(others "$machine"); do store+=,$network.$other:2379; done
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

# stop NAME... : asks them to end, and waits until they have.
stop() {
  local name tenths
  for name; do end "$name" TERM; done
  for name; do
    for ((tenths = 0; tenths < 300; tenths++)); do
      runs "$name" || break
      sleep 0.1
    done
    ! runs "$name" || { echo "$name does not end" && return 1; }
  done
}

start_etcd() {
  local members=n1=http://$network.1:2380,n2=http://$network.2:2380,n3=http://$network.3:2380
  runs "etcd-$1" || start "etcd-$1" "$1" "$1" etcd --name "n$1" --data-dir "$CLUSTER_WORK/etcd-$1" --initial-cluster "$members" \
    --initial-cluster-state new --listen-peer-urls "http://$network.$1:2380" --initial-advertise-peer-urls "http://$network.$1:2380" \
    --listen-client-urls "http://$network.$1:2379" --advertise-client-urls "http://$network.$1:2379" --log-level error
}

start_controller() {
  runs "controller-$1" || start "controller-$1" "1$1" "$1" "$KEELSON_BINARY" controller --name "node-$1"
}

start_node() {
  runs "node-$1" || start "node-$1" "$1" "$1" "$KEELSON_BINARY" node --name "node-$1" --listen "$network.$1:4420" \
    --pool "disk=$CLUSTER_WORK/node-$1.pool" --pool-size 1GiB
}

start_all() {
  local node
  for node in "${nodes[@]}"; do start_etcd "$node"; done
  for node in "${nodes[@]}"; do start_controller "$node" && start_node "$node"; done
}

keelson() {
  inside host timeout 30 "$KEELSON_BINARY" "$@"
}

logs() {
  ls "$CLUSTER_WORK"/node-*.log "$CLUSTER_WORK"/controller-*.log
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

# The machine of the etcd member that leads.
etcd_leader() {
  local node
  for node in "${nodes[@]}"; do
    inside host python3 -c "import sys, urllib.request as u
sys.exit(b'\netcd_server_is_leader 1\n' not in u.urlopen('http://$network.$node:2379/metrics', timeout=5).read())" 2>/dev/null || continue
    echo "$node"
    return
  done
  return 1
}

# The machine of the controller that leads: who said so last.
leading_controller() {
  sort "$CLUSTER_WORK"/controller-*.log | sed -nE 's/.* node-([0-9])\/[0-9]+ leads$/\1/p' | tail -n 1
}

# bring_nexus MACHINE : has the volume served from there before the event begins.
bring_nexus() {
  local tenths
  [[ $(nexus_node) != "$1" ]] || return 0
  keelson volume move $volume "node-$1" >/dev/null
  keelson volume move $volume any >/dev/null
  for ((tenths = 0; tenths < 100; tenths++)); do
    [[ $(show | json 'd["state"]') != healthy ]] || break
    sleep 0.1
  done
}

power() {
  inside "$1" ip link set eth0 "$2"
  inside "1$1" ip link set eth0 "$2"
}

# cut add|del FROM TO : what machine FROM sends to machine TO gets lost; or no longer.
cut() {
  local from to
  for from in "$2" "1$2"; do
    for to in "$3" "1$3"; do inside "$from" ip route "$1" blackhole "$network.$to/32" 2>/dev/null || true; done
  done
}

# cut_off add|del NODE [out|in] : its ways to the other machines, not to the host, theirs to it, or both.
cut_off() {
  local other
  for other in $(others "$2"); do
    [[ ${3:-} == in ]] || cut "$1" "$2" "$other"
    [[ ${3:-} == out ]] || cut "$1" "$other" "$2"
  done
}

# restart NODE : as a package's upgrade does it.
restart() {
  stop "node-$1"
  start_node "$1"
}

ready_count() {
  keelson node list --output json 2>/dev/null | json 'len([n for n in d if n["state"] == "ready"])' 2>/dev/null || true
}

case ${1:-} in
  kill-node*)
    node=$(nexus_node)
    began
    end "node-$node" KILL
    echo "node-$node, which served the volume, was killed"
    ;;
  power-off*)
    node=$(nexus_node)
    if [[ $1 == power-off-standby* ]]; then
      node=$(others "$node" | head -n 1)
    elif [[ $1 == power-off-leader* ]]; then
      node=$(etcd_leader)
      bring_nexus "$node"
    fi
    what=
    [[ $(etcd_leader) != "$node" ]] || what=" (its etcd led)"
    [[ $(leading_controller) != "$node" ]] || what+=" (its controller led)"
    began
    power "$node" down
    for name in "node-$node" "etcd-$node" "controller-$node"; do end "$name" KILL; done
    echo "node-$node lost its power$what"
    ;;
  power-all)
    began
    for node in "${nodes[@]}"; do power "$node" down; done
    for node in "${nodes[@]}"; do for name in "node-$node" "etcd-$node" "controller-$node"; do end "$name" KILL; done; done
    sleep 3
    for node in "${nodes[@]}"; do power "$node" up; done
    start_all
    healed
    echo "all machines lost their power for 3 s"
    ;;
  cut-peers*)
    node=$(nexus_node)
    began
    cut_off add "$node"
    echo "node-$node can reach the host alone"
    ;;
  cut-out* | cut-in*)
    node=$(nexus_node)
    way=${1#cut-}
    began
    cut_off add "$node" "${way%%-*}"
    [[ $1 == cut-in* ]] && echo "nothing from its peers reaches node-$node" || echo "nothing from node-$node reaches its peers"
    ;;
  cut-node*)
    node=$(nexus_node)
    began
    power "$node" down
    echo "node-$node was cut from everybody, and runs"
    ;;
  cut-controller*)
    node=$(leading_controller)
    began
    inside "1$node" ip link set eth0 down
    echo "the controller of machine $node, which led, was cut off"
    ;;
  kill-controller*)
    began
    for node in "${nodes[@]}"; do end "controller-$node" KILL; done
    echo "all controllers were killed"
    ;;
  kill-etcd*)
    node=$(etcd_leader)
    began
    end "etcd-$node" KILL
    echo "the member of etcd on machine $node, which led, was killed"
    ;;
  etcd-away*)
    node=$(nexus_node)
    began
    for member in "${nodes[@]}"; do end "etcd-$member" STOP; done
    if [[ $1 == etcd-away-kill* ]]; then
      sleep "${ETCD_SHORT_SECONDS:-8}"
      node=$(others "$node" | head -n 1)
      end "node-$node" KILL
      sleep "${ETCD_SHORT_SECONDS:-8}"
      what=", and node-$node was killed meanwhile"
    else
      sleep "${ETCD_AWAY_SECONDS:-60}"
    fi
    for member in "${nodes[@]}"; do end "etcd-$member" CONT; done
    echo "etcd was away for a while${what:-}"
    ;;
  move*)
    from=$(nexus_node)
    to=$(others "$from" | head -n 1)
    began
    keelson volume move $volume "node-$to" >/dev/null
    keelson volume move $volume any >/dev/null
    healed
    echo "moved from node-$from to node-$to"
    ;;
  restart-*-twice)
    node=${1#restart-}
    node=${node%-twice}
    began
    restart "$node"
    sleep 2
    restart "$node"
    healed
    echo "node-$node was restarted twice in a row"
    ;;
  restart-*)
    node=${1#restart-}
    began
    restart "$node"
    healed
    echo "node-$node was restarted"
    ;;
  reboot-*)
    node=${1#reboot-}
    began
    stop "node-$node" "controller-$node"
    stop "etcd-$node"
    power "$node" down
    sleep 3
    power "$node" up
    start_etcd "$node"
    start_controller "$node"
    start_node "$node"
    healed
    echo "machine $node was rebooted"
    ;;
  settle)
    for node in "${nodes[@]}"; do
      cut_off del "$node"
      power "$node" up
    done
    start_all
    healed
    await_healthy
    ;;
  watch-health) watch_health ;;
  clock) now_ms ;;
  result) shift && result "$@" ;;
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
    EVENT_WORK=$CLUSTER_WORK/events
    mkdir "$EVENT_WORK"
    export CLUSTER_WORK CLUSTER_PREFIX EVENT_WORK
    export KEELSON_STORE=etcd://$network.1:2379,$network.2:2379,$network.3:2379
    finish() {
      local status=$? name
      for name in "$CLUSTER_WORK"/*.pid; do end "$(basename "$name" .pid)" KILL; done
      for name in switch host "${nodes[@]}" "${nodes[@]/#/1}"; do ip netns del "$(space "$name")" 2>/dev/null || true; done
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
    for name in "${nodes[@]}" "${nodes[@]/#/1}" host; do
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
      [[ $(ready_count) != 3 ]] || break
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
    events=${EVENTS:-$usual}
    [[ $events != all ]] || events=$(tr -s ' \n' ' ' <<<"$every")
    ip netns exec "$(space host)" setpriv --pdeathsig TERM "$here/run.sh" --timeout "${TIMEOUT:-$([[ $events == "$usual" ]] && echo 500 || echo 2400)}" \
      --handler "$here/cluster-test.sh" --set "NQN=$nqn" --set "PATHS=$paths" --set "KEEP_ALIVE=${KEEP_ALIVE:-2}" \
      --set "LOAD_SECONDS=${LOAD_SECONDS:-14}" --set "EVENTS=$events" "$here/failover-guest.sh" &
    guest=$!
    trap 'kill "$guest" 2>/dev/null; exit 130' INT
    trap 'kill "$guest" 2>/dev/null; exit 143' TERM
    wait "$guest" || { table && exit 1; }
    table
    echo "The Linux host found nothing wrong ($SECONDS s)"
    ;;
  *) fail "unknown step $1" ;;
esac
