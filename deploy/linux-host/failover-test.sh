#!/bin/bash
# A Linux host with native multipath uses a volume through all its paths while its nexus's node is killed, moved away from, and every node is
# restarted: no error, and short pauses.
#
#   failover-test.sh          KEELSON_BINARY names the binary (default: the release build)
#
# The host is failover-guest.sh in the machine that run.sh boots; its steps are done here, as `failover-test.sh STEP`.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../library.sh"
source "$here/events.sh"
guest_address=10.0.2.2
volume=moving

keelson() {
  "$KEELSON_BINARY" "$@"
}

nexus_node() {
  keelson volume show $volume --output json | json 'd["nexus"]["node"]'
}

process_of() {
  keelson node list --output json | NODE=$1 json '[n["pid"] for n in d if n["name"] == __import__("os").environ["NODE"]][0]'
}

logs() {
  ls "$KEELSON_DIR"/logs/* "$EVENT_WORK"/../dev.log
}

# Ends a node's process by a signal; its supervisor starts it again.
end_node() {
  local process
  process=$(process_of "$1")
  began
  kill "-$2" "$process"
  healed
  echo "$1 got SIG$2"
}

case ${1:-} in
  kill-nexus*) end_node "$(nexus_node)" KILL ;;
  kill-standby)
    nexus=$(nexus_node)
    for node in node-1 node-2 node-3; do [[ $node == "$nexus" ]] || break; done
    end_node "$node" KILL
    ;;
  restart-*) end_node "${1#restart-}" TERM ;;
  move*)
    from=$(nexus_node)
    to=$(keelson volume show $volume --output json | FROM=$from json \
      '[r["node"] for r in d["replicas"] if r["node"] != __import__("os").environ["FROM"] and r["state"] == "in-sync"][0]')
    began
    keelson volume move $volume "$to" >/dev/null
    healed
    keelson volume move $volume any >/dev/null
    echo "moved from $from to $to"
    ;;
  settle) await_healthy ;;
  watch-health) watch_health ;;
  clock) now_ms ;;
  result) shift && result "$@" ;;
  "")
    root=$(cd "$here/../.." && pwd)
    export KEELSON_BINARY=${KEELSON_BINARY:-$root/.build/release/keelson}
    [[ -x $KEELSON_BINARY ]] || fail "there is no binary $KEELSON_BINARY; build it with: swift build -c release --product keelson"
    work=$(mktemp -d "${TMPDIR:-/tmp}/keelson-failover-test.XXXXXX")
    export KEELSON_DIR=$work/dev EVENT_WORK=$work/events
    mkdir "$EVENT_WORK"
    finish() {
      local status=$?
      stop_dev
      ((status == 0)) || { echo "The end of the log of keelson dev:" && tail -n 40 "$work/dev.log" "$work"/dev/logs/*; } || true
      rm -rf "$work"
    }
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    start_dev "$KEELSON_BINARY" "$work/dev.log" --dir "$KEELSON_DIR" --nodes 3 --pool-size 4GiB \
      --port "$(first_free_port 16)" --advertise "$guest_address"
    keelson volume create $volume --size 256MiB --replicas 3 --output json >/dev/null
    for ((tenths = 0; tenths < 50; tenths++)); do
      paths=$(keelson volume show $volume --output json | json "' '.join(p['traddr'] + ':' + p['trsvcid'] for p in d['paths'] if p['traddr'] == '$guest_address')")
      [[ $(wc -w <<<"$paths") != 3 ]] || break
      sleep 0.1
    done
    nqn=$(keelson volume show $volume --output json | json 'd["paths"][0]["subnqn"]')
    echo "keelson dev is ready; $nqn is at $paths"
    setpriv --pdeathsig TERM "$here/run.sh" --timeout 400 --handler "$here/failover-test.sh" --set "NQN=$nqn" --set "PATHS=$paths" \
      --set "KEEP_ALIVE=5" --set "EVENTS=${EVENTS:-move:1000 kill-nexus:5000 kill-standby:5000 restart-node-1:3000 restart-node-2:3000 restart-node-3:3000 kill-nexus-again:5000}" \
      "$here/failover-guest.sh" &
    guest=$!
    trap 'kill "$guest" 2>/dev/null; exit 130' INT
    trap 'kill "$guest" 2>/dev/null; exit 143' TERM
    wait "$guest" || { table && exit 1; }
    table
    echo "The Linux host found nothing wrong ($SECONDS s)"
    ;;
  *) fail "unknown step $1" ;;
esac
