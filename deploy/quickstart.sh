#!/bin/bash
# From a fresh machine to a replicated volume that has lost a node and is healthy again, in one command.
#
#   quickstart.sh          builds Keelson, runs three nodes, writes and verifies a two-replica volume over NVMe/TCP,
#                          measures it, kills a node under load, waits until the volume is healthy again, says what had
#                          to be copied for that, and leaves nothing running
#   quickstart.sh --keep   the same, but leaves the nodes and the volume running and says what to try next
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/library.sh"
cd "$here/.."

keep=
case ${1:-} in
  "") ;;
  --keep) keep=yes ;;
  *) sed -n 's/^#   //p' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
esac

say() {
  printf '\n== %s\n' "$*"
}

# field FILE EXPRESSION : a value of a JSON document in a file.
field() {
  json "$2" <"$1"
}

say "Build"
need_swift
install_missing liburing-dev libaio-dev libsqlite3-dev libnghttp2-dev libssl-dev pkg-config python3
swift build -c release --product keelson
keelson=$(swift build -c release --show-bin-path)/keelson

work=$(mktemp -d "${TMPDIR:-/tmp}/keelson-quickstart.XXXXXX")
export KEELSON_DIR=$work/dev
bench_pid=
finish() {
  local status=$?
  [[ -z $bench_pid ]] || kill "$bench_pid" 2>/dev/null || true
  if [[ -z $keep || $status != 0 ]]; then
    stop_dev
    ((status == 0)) || { echo "The end of the log of keelson dev:" && tail -n 30 "$work/dev.log"; } >&2 || true
    rm -rf "$work"
  fi
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say "Three nodes on this machine, each with a pool in a file"
dev_outlives_script=$keep
start_dev "$keelson" "$work/dev.log" --dir "$KEELSON_DIR" --nodes 3 --pool-size 4GiB --port "$(first_free_port 16)"
"$keelson" node list

say "A volume of 1 GiB on two of them"
"$keelson" volume create demo --size 1GiB --replicas 2

say "Write it over NVMe/TCP and verify every block"
"$keelson" bench demo --rw randwrite --bs 4k --iodepth 32 --runtime 5 --size 256MiB --verify

say "Measure it"
for pattern in randread randwrite; do
  "$keelson" bench demo --rw "$pattern" --bs 4k --iodepth 32 --runtime 5 --output json >"$work/$pattern.json"
done
# measured NAME DIRECTION : one line of the table.
measured() {
  field "$work/$1.json" "'  %-10s %8.0f IOPS   %7.1f MiB/s   mean %6.0f us   p99 %6.0f us' % ('$1', d['jobs'][0]['$2']['iops'],
    d['jobs'][0]['$2']['iops'] * 4096 / 2**20, d['jobs'][0]['$2']['clat_ns']['mean'] / 1e3,
    d['jobs'][0]['$2']['clat_ns']['percentile']['99.000000'] / 1e3)"
}
measured randread read
measured randwrite write

say "Kill a node that holds a replica while writes run"
"$keelson" volume show demo --output json >"$work/before.json"
node=$(field "$work/before.json" '[r["node"] for r in d["replicas"] if r["node"] != d["nexus"]["node"]][0]')
process=$("$keelson" node list --output json | json "[n['pid'] for n in d if n['name'] == '$node'][0]")
"$keelson" bench demo --rw randwrite --bs 4k --iodepth 32 --runtime 8 --size 256MiB --verify --output json >"$work/kill.json" &
bench_pid=$!
sleep 3
kill -0 "$bench_pid" 2>/dev/null || fail "the load ended before the node could be killed"
kill -9 "$process"
echo "  kill -9 $process ($node), with 32 writes in flight"
wait "$bench_pid" || fail "the load failed when $node was killed: $(tail -c 2000 "$work/kill.json")"
bench_pid=
errors=$(field "$work/kill.json" 'd["verify"]["errors"]')
blocks=$(field "$work/kill.json" 'd["verify"]["blocks"]')
slowest=$(field "$work/kill.json" 'round(d["jobs"][0]["write"]["clat_ns"]["max"] / 1e6)')
[[ $errors == 0 && $blocks -gt 0 ]] || fail "$errors of $blocks verified blocks were wrong after $node was killed"

say "The node is started again: its replica gets what it missed"
healed=
for ((tenths = 0; tenths < 300; tenths++)); do
  state=$("$keelson" volume show demo --output json | json 'd["state"]')
  [[ $state != healthy ]] || { healed=yes && break; }
  sleep 0.1
done
[[ -n $healed ]] || fail "the volume is still $state: $("$keelson" volume explain demo)"
"$keelson" rebuild list --volume demo
"$keelson" volume explain demo
"$keelson" rebuild list --volume demo --output json >"$work/rebuilds.json"
sent=$(field "$work/rebuilds.json" '"%.1f" % (sum(r["bytes_sent"] for r in d) / 2**20)')
written=$(field "$work/kill.json" '"%.1f" % (d["jobs"][0]["write"]["io_bytes"] / 2**20)')
(($(field "$work/rebuilds.json" 'len(d)') > 0)) || fail "the replica on $node never left, though its node was killed"
[[ $(field "$work/rebuilds.json" 'all(r["kind"] == "recorded" for r in d)') == True ]] ||
  fail "more was looked at than what the replica missed: $("$keelson" rebuild list --volume demo)"

say "Summary"
measured randread read
measured randwrite write
cat <<END
  $node was killed under load: no write failed, $blocks blocks read back as written, the slowest write took $slowest ms
  its replica came back by itself: $sent MiB were copied, of a volume of 1 GiB that took $written MiB of writes meanwhile
END

if [[ -n $keep ]]; then
  cat <<END

The nodes go on (process $dev_pid). To try next:
  export KEELSON_DIR=$KEELSON_DIR PATH=$(dirname "$keelson"):\$PATH
  keelson status
  keelson volume create second --size 2GiB --replicas 3
  keelson bench second --rw randrw --rwmix 70 --bs 16k --iodepth 64 --runtime 10
  keelson volume show second            # says the nvme connect line for a Linux host
  keelson rebuild list --watch          # and kill -9 a node in another terminal
  kill $dev_pid && rm -r $work     # ends it all
END
fi
