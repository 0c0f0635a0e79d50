#!/bin/bash
# Many volumes at once through CSI, with real nodes, and what it costs (csi_load.py). KEELSON_BINARY is the binary, else the release build.
#
#   csi-load.sh [COUNT]             `keelson dev` with its SQLite store; COUNT volumes, else 200
#   csi-load.sh COUNT etcd          an etcd member, two controllers with CSI sockets, and three nodes
#   csi-load.sh COUNT etcd kills    the controllers are killed in turn all the while, and calls that fail made again elsewhere; in the end
#                                   nothing may be left: no volume, no replica, no space taken
#   LOADS=5 csi-load.sh ...         so many times; with kills until there were four at least
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/library.sh"
binary=${KEELSON_BINARY:-$here/../.build/release/keelson}
[[ -x $binary ]] || fail "there is no binary $binary; build it with: swift build -c release --product keelson"
count=${1:-200} store=${2:-sqlite} kills=${3:-}
python=$("$here/grpcio.sh")
work=$(mktemp -d "${TMPDIR:-/tmp}/keelson-csi-load.XXXXXX")
pids=()
killer=
finish() {
  local status=$? pid
  stop_dev
  [[ -z $killer ]] || { kill -9 "$killer" 2>/dev/null && wait "$killer" 2>/dev/null; } || true
  # Nodes end in good order only while there is a store.
  for pid in "${pids[@]:3}" "${pids[@]:0:3}"; do kill -TERM "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; done
  if ((status)); then
    for log in "$work"/*.log; do echo "The end of $(basename "$log"):" && tail -n 20 "$log"; done >&2
    [[ -z ${KEEP_LOGS:-} ]] || cp "$work"/*.log "$KEEP_LOGS"
  fi
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# start NAME COMMAND... : in the background, ended with this script.
start() {
  local name=$1
  shift
  setpriv --pdeathsig TERM "$@" >"$work/$name.log" 2>&1 </dev/null &
  pids+=($!)
}

# A controller that comes back whenever it ends, as in a pod; its number is in controller-N.pid.
start_controller() {
  # shellcheck disable=SC2016
  start "controller-$1" bash -c 'trap "exit 0" TERM
    while true; do
      setpriv --pdeathsig TERM "$1" controller --name "controller-$2" --csi "unix://$3/controller-$2/csi.sock" &
      echo $! >"$3/controller-$2.pid"
      wait $!
    done' - "$binary" "$1" "$work"
}

# Kills one controller after the other.
kill_controllers() {
  local number
  while true; do
    for number in 1 2; do
      sleep "$((RANDOM % 12)).$((RANDOM % 10))"
      kill -9 "$(cat "$work/controller-$number.pid")" 2>/dev/null || true
      echo "$number" >>"$work/kills"
    done
  done
}

# What the pools have given away.
usage() { "$binary" pool list --output json | json '[(p["node"], p["name"], p["free"]) for p in d]'; }

port=$(first_free_port 12)
case $store in
  sqlite)
    start_dev "$binary" "$work/dev.log" --dir "$work/dev" --nodes 3 --pool-size 8GiB --port "$port"
    endpoints=("unix:$work/dev/csi/controller/csi.sock")
    ;;
  etcd)
    install_missing etcd-server
    start etcd etcd --name m --data-dir "$work/etcd" --listen-client-urls "http://127.0.0.1:$port" --advertise-client-urls "http://127.0.0.1:$port" \
      --listen-peer-urls "http://127.0.0.1:$((port + 1))" --initial-advertise-peer-urls "http://127.0.0.1:$((port + 1))" \
      --initial-cluster "m=http://127.0.0.1:$((port + 1))" --log-level error
    export KEELSON_STORE=etcd://127.0.0.1:$port
    endpoints=()
    for number in 1 2; do
      start_controller "$number"
      endpoints+=("unix:$work/controller-$number/csi.sock")
    done
    for number in 1 2 3; do
      start "node-$number" "$binary" node --name "node-$number" --listen "127.0.0.1:$((port + 1 + 2 * number))" \
        --discovery-port "$((port + 2 + 2 * number))" --pool "disk=$work/node-$number.pool" --pool-size 8GiB
    done
    for ((tenths = 0; ; tenths++)); do
      # shellcheck disable=SC2016
      [[ $("$binary" node list --output json 2>/dev/null | json 'sum(n["state"] == "ready" for n in d)' 2>/dev/null) == 3 ]] &&
        [[ -S $work/controller-1/csi.sock && -S $work/controller-2/csi.sock ]] && break
      ((tenths < 600)) || fail "the cluster did not become ready"
      sleep 0.1
    done
    ;;
  *) fail "the store is sqlite or etcd" ;;
esac
[[ -z $kills || $store == etcd ]] || fail "only of several controllers some can be killed: name etcd"
if [[ -n $kills ]]; then
  before=$(usage)
  kill_controllers &
  killer=$!
fi
touch "$work/kills"
# With kills until there were some: an idle cluster is faster than the first of them.
for ((load = 0; load < ${LOADS:-1} || (${#kills} && $(wc -l <"$work/kills") < 4); load++)); do
  PYTHONPATH=$here "$python" "$here/csi_load.py" ${kills:+--again} "${endpoints[@]}" "$count"
done
if [[ -n $kills ]]; then
  kill -9 "$killer" && wait "$killer" 2>/dev/null || true
  killer=
  echo "controllers were killed $(wc -l <"$work/kills") times"
  for ((tenths = 0; tenths < 300; tenths++)); do
    [[ $(usage) != "$before" ]] || break
    sleep 0.1
  done
  [[ $(usage) == "$before" ]] || fail "pools had $before before and have $(usage) now"
  [[ $("$binary" volume list --output json | json 'len(d)') == 0 ]] || fail "volumes are left"
fi
[[ $store == etcd ]] || exit 0
# Nodes end also when they cannot ask anybody.
kill -9 "${pids[0]}" && wait "${pids[0]}" 2>/dev/null || true
sleep 2
for pid in "${pids[@]:3}"; do kill -TERM "$pid"; done
deadline=$((SECONDS + 120))
for pid in "${pids[@]:3}"; do
  while kill -0 "$pid" 2>/dev/null; do
    ((SECONDS < deadline)) || fail "node process $pid does not end without its store"
    sleep 0.1
  done
done
