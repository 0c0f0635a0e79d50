#!/bin/bash
# Prints Keelson's figures as ratios, both sides measured alternately in one run; each figure is the median of its runs.
#
#   run.sh [file|pool|volume1|volume2|log|latency|return|takeover|governor|control|network|idle|allocations]...     without a name: all of them
#
# Environment: KEELSON_BINARY (default: a release build made now), RUNS (3), SECONDS_PER_RUN (5), SCRATCH (a folder on the
# disk to measure, default: the temporary folder; it takes about 10 GiB).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/deploy/library.sh"

all=(file pool volume1 volume2 log latency return takeover governor control network idle allocations)
for name; do
  [[ " ${all[*]} " == *" $name "* ]] || { sed -n 's/^#   //p' "${BASH_SOURCE[0]}" >&2 && exit 2; }
done
names=("${@:-${all[@]}}")
runs=${RUNS:-3} seconds=${SECONDS_PER_RUN:-5}
file_bytes=$((2 << 30)) volume_size=1GiB

install_missing fio python3 util-linux
if [[ -z ${KEELSON_BINARY:-} ]]; then
  need_swift
  (cd "$root" && swift build -c release --product keelson)
  KEELSON_BINARY=$(cd "$root" && swift build -c release --show-bin-path)/keelson
fi
work=$(mktemp -d "${SCRATCH:-${TMPDIR:-/tmp}}/keelson-benchmark.XXXXXX")
export KEELSON_DIR=$work/dev
# background NAME COMMAND... : a process that ends with this script, its log in the work folder.
background() {
  local name=$1
  shift
  setpriv --pdeathsig KILL "$@" >"$work/$name.log" 2>&1 </dev/null &
  cluster+=($!)
  disown
}

stop_cluster() {
  local pid
  for pid in "${cluster[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
  cluster=()
  unset KEELSON_STORE
}
cluster=()

finish() {
  stop_dev
  stop_cluster
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# iops_in FILE : I/Os per second, reads and writes together, of a JSON report of bench or fio.
iops_in() {
  # fio may write notes before its document.
  sed -n '/^{/,$p' "$1" | json 'd["jobs"][0].get("read", {}).get("iops", 0) + d["jobs"][0].get("write", {}).get("iops", 0)'
}

# bench TARGET ARGUMENT... : prints IOPS; $pin, when set, is the core that the load generator stays on.
bench() {
  local target=$1
  shift
  ${pin:+taskset -c "$pin"} "$KEELSON_BINARY" bench "$target" --runtime "$seconds" --output json "$@" >"$work/bench.json" ||
    fail "keelson bench $target $* failed: $(tail -c 1000 "$work/bench.json")"
  iops_in "$work/bench.json"
}

# fio_on FILE PATTERN [BLOCK-SIZE] [BYTES] : prints IOPS of fio at queue depth 32, with 4 KiB blocks unless told otherwise.
fio_on() {
  fio --name=figure --filename="$1" --size="${4:-$file_bytes}" --rw="$2" --bs="${3:-4k}" --iodepth=32 --ioengine=io_uring --direct=1 \
    --runtime="$seconds" ${fio_once:---time_based} --output-format=json --output="$work/fio.json" || fail "fio on $1 failed"
  iops_in "$work/fio.json"
}

# compute EXPRESSION VALUE... : a number; v[0], v[1]... are the values.
compute() {
  python3 -c 'import sys; v = [float(a) for a in sys.argv[2:]]; print(eval(sys.argv[1]))' "$@"
}

# median FILE
median() {
  python3 -c 'import statistics, sys; print(statistics.median(float(line) for line in open(sys.argv[1])))' "$1"
}

# A file written from end to end, so that its blocks exist before anything is measured.
write_file() {
  dd if=/dev/zero of="$1" bs=4M count=$((file_bytes >> 22)) oflag=direct status=none
}

# CPU seconds that all processes of the running `keelson dev` have used.
cpu_seconds() {
  local process
  for process in $(node_processes); do sed 's/.*) //' "/proc/$process/stat"; done |
    awk -v ticks="$(getconf CLK_TCK)" '{ sum += $12 + $13 } END { print sum / ticks }'
}

node_processes() {
  "$KEELSON_BINARY" node list --output json | json '" ".join(str(n["pid"]) for n in d)'
}

# start ARGUMENT... : a fresh `keelson dev`; $pin_dev, when set, is the core it stays on.
start() {
  stop_dev
  rm -rf "$KEELSON_DIR"
  start_dev "$KEELSON_BINARY" "$work/dev.log" --dir "$KEELSON_DIR" --port "$(first_free_port 16)" "$@"
  [[ -z ${pin_dev:-} ]] || for process in $(node_processes); do taskset -a -c -p "$pin_dev" "$process" >/dev/null; done
}

# volume NAME REPLICAS : a volume that was written once from end to end, as far as the time allows.
volume() {
  "$KEELSON_BINARY" volume create "$1" --size "${3:-$volume_size}" --replicas "$2" >/dev/null
  "$KEELSON_BINARY" bench "$1" --rw write --bs 1m --iodepth 8 --runtime 10 --output json >/dev/null
}

# bench_with_cpu TARGET FILE PATTERN : appends IOPS to FILE and the daemons' CPU seconds per million I/Os to FILE.cpu.
bench_with_cpu() {
  local before after count
  before=$(cpu_seconds)
  bench "$1" --rw "$3" --bs 4k --iodepth 32 >>"$2"
  after=$(cpu_seconds)
  count=$(json 'sum(d["jobs"][0].get(kind, {}).get("total_ios", 0) for kind in ("read", "write"))' <"$work/bench.json")
  compute '(v[1] - v[0]) / v[2] * 1e6' "$before" "$after" "$count" >>"$2.cpu"
}

# line TITLE A-NAME A-FILE B-NAME B-FILE : both medians and the ratio of the second to the first.
line() {
  local a b
  a=$(median "$3")
  b=$(median "$5")
  printf '  %-10s %-22s %9.0f   %-22s %9.0f   ratio %.2f\n' "$1" "$2" "$a" "$4" "$b" "$(compute 'v[1] / v[0]' "$a" "$b")"
}

measure_file() {
  local pattern run
  echo "file: keelson bench against fio on one file, 4 KiB, queue depth 32 (IOPS)"
  write_file "$work/file"
  for pattern in randread randwrite; do
    for ((run = 0; run < runs; run++)); do
      fio_on "$work/file" "$pattern" >>"$work/file.$pattern.fio"
      bench "$work/file" --force --rw "$pattern" --bs 4k --iodepth 32 >>"$work/file.$pattern.bench"
    done
    line "$pattern" "fio" "$work/file.$pattern.fio" "keelson bench" "$work/file.$pattern.bench"
  done
  rm "$work/file"
}

# fresh_pool written|sparse : a new pool file. A written one has blocks everywhere, as a disk has, so that the file system takes no
# part in what is measured.
fresh_pool() {
  rm -f "$work/pool"
  "$KEELSON_BINARY" pool create "$work/pool" --name pool --size "$pool_bytes" >/dev/null
  # The data begin below 64 MiB; what is there is zeros already, and stays so.
  [[ $1 == sparse ]] || dd if=/dev/zero of="$work/pool" bs=4M seek=16 count=$(((pool_bytes >> 22) - 16)) oflag=direct conv=notrunc status=none
}

# pool_bench STATE SIZE ARGUMENT... : prints IOPS of a scratch replica in the pool.
pool_bench() {
  local state=$1 size=$2
  shift 2
  "$KEELSON_BINARY" pool bench "$work/pool" --state "$state" --size "$size" --iodepth 32 --runtime "$pool_seconds" --output json "$@" \
    >"$work/bench.json" || fail "keelson pool bench $* failed: $(tail -c 1000 "$work/bench.json")"
  iops_in "$work/bench.json"
}

# pool_line TITLE PATTERN BLOCK-SIZE KIND STATE SIZE : a replica in a pool file of KIND against fio on a file of the same kind.
pool_line() {
  local title=$1 pattern=$2 block=$3 kind=$4 state=$5 size=$6 run fio_results=$work/pool.$RANDOM$RANDOM results=$work/pool.$RANDOM$RANDOM
  local seconds=$pool_seconds fio_once='' once=()
  # The second time round nothing is fresh any more.
  [[ $pattern != write ]] || fio_once=--loops=1 once=(--one-pass)
  for ((run = 0; run < runs; run++)); do
    if [[ $kind == sparse ]]; then
      rm -f "$work/sparse"
      truncate -s "$size" "$work/sparse"
      fio_on "$work/sparse" "$pattern" "$block" "$size" >>"$fio_results"
      rm -f "$work/sparse"
    else
      fio_on "$work/file" "$pattern" "$block" "$size" >>"$fio_results"
    fi
    fresh_pool "$kind"
    pool_bench "$state" "$size" --rw "$pattern" --bs "$block" "${once[@]}" >>"$results"
    rm -f "$work/pool"
  done
  printf '  %-46s fio %9.0f   replica %9.0f   ratio %.2f\n' "$title" "$(median "$fio_results")" "$(median "$results")" \
    "$(compute 'v[1] / v[0]' "$(median "$fio_results")" "$(median "$results")")"
}

# First writes are over when all of a replica was written: two seconds are not enough for that here.
measure_pool() {
  local pool_bytes=$((4 << 30)) pool_seconds=2
  echo "pool: a replica of a pool, in-process and without a network, against fio on a file of the same disk and kind (IOPS, queue depth 32)"
  write_file "$work/file"
  pool_line "random write 4 KiB, thick" randwrite 4k written thick 1GiB
  pool_line "random write 4 KiB, thin and written" randwrite 4k written written 1GiB
  pool_line "random write 4 KiB, thin and fresh" randwrite 4k written fresh 2GiB
  pool_line "random write 4 KiB, after a snapshot" randwrite 4k written snapshot 1GiB
  pool_line "random read 4 KiB, clone" randread 4k written clone 1GiB
  pool_line "write 128 KiB, thin and fresh" write 128k written fresh 2GiB
  echo "  the same where the file system finds space for each new block:"
  pool_line "random write 4 KiB, fresh, sparse file" randwrite 4k sparse fresh 2GiB
  pool_line "write 128 KiB, fresh, sparse file" write 128k sparse fresh 2GiB
  rm "$work/file"
}

measure_volume1() {
  local pattern run
  echo "volume1: a single-replica volume through target and host, against fio on a file of the same disk (IOPS)"
  write_file "$work/file"
  start --nodes 1 --pool-size 3GiB
  volume single 1
  for pattern in randread randwrite; do
    for ((run = 0; run < runs; run++)); do
      fio_on "$work/file" "$pattern" >>"$work/volume1.$pattern.fio"
      bench_with_cpu single "$work/volume1.$pattern.single" "$pattern"
    done
    line "$pattern" "fio" "$work/volume1.$pattern.fio" "one replica" "$work/volume1.$pattern.single"
    printf '  %-10s daemon: %.2f CPU seconds per million I/Os\n' "" "$(median "$work/volume1.$pattern.single.cpu")"
  done
  stop_dev
  rm "$work/file"
}

measure_volume2() {
  local pattern run
  echo "volume2: a two-replica volume against a single-replica one, files on one disk (IOPS)"
  start --nodes 2 --pool-size 4GiB
  volume single 1
  volume double 2
  for pattern in randread randwrite; do
    for ((run = 0; run < runs; run++)); do
      bench_with_cpu single "$work/volume2.$pattern.single" "$pattern"
      bench_with_cpu double "$work/volume2.$pattern.double" "$pattern"
    done
    line "$pattern" "one replica" "$work/volume2.$pattern.single" "two replicas" "$work/volume2.$pattern.double"
    printf '  %-10s daemons: %.2f and %.2f CPU seconds per million I/Os\n' "" "$(median "$work/volume2.$pattern.single.cpu")" \
      "$(median "$work/volume2.$pattern.double.cpu")"
  done
  stop_dev
}

# network_line TITLE SPDK-IOPS ARGUMENT... : the volume in memory beside SPDK's interrupt mode.
network_line() {
  local title=$1 spdk=$2 run results=$work/network.$RANDOM$RANDOM value
  shift 2
  for ((run = 0; run < runs; run++)); do bench memory "$@" >>"$results"; done
  value=$(median "$results")
  printf '  %-24s %9.0f   SPDK %9.0f   ratio %.2f\n' "$title" "$value" "$spdk" "$(compute 'v[0] / v[1]' "$value" "$spdk")"
}

# SPDK's figures: version 26.05, interrupt mode, one core each side over loopback, in memory, no digests. They come from a
# machine of this kind, not from this run: for orientation.
measure_network() {
  local pin=1 pin_dev=0
  echo "network: a volume in memory, one reactor, the load generator on the other core (I/Os per second)"
  if (($(nproc) < 2)); then
    echo "  one core only: daemon and load generator share it"
    pin=0
  fi
  start --nodes 1 --pool mem:512MiB
  volume memory 1 256MiB
  network_line "randread 4 KiB QD1" 29000 --rw randread --bs 4k --iodepth 1
  network_line "randread 4 KiB QD32" 335000 --rw randread --bs 4k --iodepth 32
  network_line "randread 4 KiB QD128" 356000 --rw randread --bs 4k --iodepth 128
  network_line "randwrite 4 KiB QD1" 28000 --rw randwrite --bs 4k --iodepth 1
  network_line "randwrite 4 KiB QD32" 238000 --rw randwrite --bs 4k --iodepth 32
  network_line "randwrite 4 KiB QD128" 318000 --rw randwrite --bs 4k --iodepth 128
  # 3.5 and 3.8 GiB/s in I/Os of 128 KiB: 8192 of them are 1 GiB.
  network_line "read 128 KiB QD32" $((35 * 8192 / 10)) --rw read --bs 128k --iodepth 32
  network_line "write 128 KiB QD32" $((38 * 8192 / 10)) --rw write --bs 128k --iodepth 32
  stop_dev
}

measure_idle() {
  local before after process
  echo "idle: three nodes with a two-replica volume and nothing to do, over 10 s"
  start --nodes 3 --pool-size 3GiB
  volume quiet 2
  sleep 3
  before=$(cpu_seconds)
  sleep 10
  after=$(cpu_seconds)
  printf '  CPU, all three nodes together: %.2f %% of one core\n' "$(compute '(v[1] - v[0]) * 10' "$before" "$after")"
  for process in $(node_processes); do
    printf '  resident memory of process %d: %d MiB\n' "$process" "$(($(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$process/status") >> 10))"
  done
  stop_dev
}

# allocation_counts PROCESS... : of the threads that do I/O, and of all, summed over the processes.
allocation_counts() {
  python3 -c '
import struct, sys
pairs = [struct.unpack("QQ", open(f"{sys.argv[1]}/{process}", "rb").read()) for process in sys.argv[2:]]
print(*map(sum, zip(*pairs)))' "$work/counts" "$@"
}

# allocations_line TITLE VOLUME ARGUMENT... : allocations in the middle of a run, per million I/Os.
allocations_line() {
  local title=$1 target=$2 load daemons before after load_before load_after
  shift 2
  read -ra daemons <<<"$(node_processes)"
  LD_PRELOAD=$work/allocations.so ALLOCATION_COUNTS=$work/counts "$KEELSON_BINARY" bench "$target" --runtime $((seconds + 4)) \
    --output json "$@" >"$work/bench.json" &
  load=$!
  sleep 2
  before=$(allocation_counts "${daemons[@]}") load_before=$(allocation_counts "$load")
  sleep "$seconds"
  after=$(allocation_counts "${daemons[@]}") load_after=$(allocation_counts "$load")
  wait "$load" || fail "keelson bench $target $* failed: $(tail -c 1000 "$work/bench.json")"
  python3 -c '
import sys
title, iops, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
numbers = [[int(word) for word in argument.split()] for argument in sys.argv[4:]]
before, after, load_before, load_after = numbers
ios = iops * seconds
parts = [after[0] - before[0], after[1] - before[1], load_after[0] - load_before[0], load_after[1] - load_before[1]]
print("  %-34s %9.0f   I/O threads: daemons %d, bench %d   all threads: daemons %d, bench %d   per I/O %.6f" % (
    title, ios, parts[0], parts[2], parts[1], parts[3], (parts[0] + parts[2]) / ios))' \
    "$title" "$(iops_in "$work/bench.json")" "$seconds" "$before" "$after" "$load_before" "$load_after"
}

measure_allocations() {
  local pattern
  echo "allocations: heap allocations in ${seconds} s of a steady state, of threads that do I/O and of all; the column before is I/Os"
  install_missing gcc
  gcc -O2 -shared -fPIC -o "$work/allocations.so" "$root/Benchmarks/allocations.c"
  mkdir -p "$work/counts"
  LD_PRELOAD=$work/allocations.so ALLOCATION_COUNTS=$work/counts start --nodes 1 --pool mem:512MiB
  volume memory 1 256MiB
  for pattern in randread randwrite; do
    allocations_line "memory, $pattern 4 KiB QD32" memory --rw "$pattern" --bs 4k --iodepth 32
    allocations_line "memory, $pattern 128 KiB QD32" memory --rw "$pattern" --bs 128k --iodepth 32
  done
  LD_PRELOAD=$work/allocations.so ALLOCATION_COUNTS=$work/counts start --nodes 2 --pool-size 4GiB
  volume double 2
  for pattern in randread randwrite; do
    allocations_line "two replicas, $pattern 4 KiB QD32" double --rw "$pattern" --bs 4k --iodepth 32
    allocations_line "two replicas, $pattern 128 KiB QD32" double --rw "$pattern" --bs 128k --iodepth 32
  done
  stop_dev
}

# p99_of TARGET ARGUMENT... : microseconds that 99 of 100 commands take at most, reads and writes apart, the worse of both.
p99_of() {
  local target=$1
  shift
  bench "$target" "$@" >/dev/null
  json 'max(d["jobs"][0].get(kind, {}).get("clat_ns", {}).get("percentile", {}).get("99.000000", 0) for kind in ("read", "write")) / 1000' <"$work/bench.json"
}

# mean_of TARGET ARGUMENT... : microseconds that a write takes on average.
mean_of() {
  local target=$1
  shift
  bench "$target" "$@" >/dev/null
  json 'd["jobs"][0]["write"]["clat_ns"]["mean"] / 1000' <"$work/bench.json"
}

# process_of NODE, nexus_of VOLUME, replica_nodes VOLUME
process_of() { "$KEELSON_BINARY" node list --output json | json "[n['pid'] for n in d if n['name'] == '$1'][0]"; }
nexus_of() { "$KEELSON_BINARY" volume show "$1" --output json | json 'd["nexus"]["node"]'; }
other_of() { "$KEELSON_BINARY" volume show "$1" --output json | json '[r["node"] for r in d["replicas"] if r["node"] != d["nexus"]["node"]][0]'; }
state_of() { "$KEELSON_BINARY" volume show "$1" --output json | json 'd["state"]'; }
now_ms() { date +%s%3N; }

# await_healthy VOLUME : 60 s at most.
await_healthy() {
  local tenths
  for ((tenths = 0; tenths < 1200; tenths++)); do
    [[ $(state_of "$1") != healthy ]] || return 0
    sleep 0.05
  done
  fail "volume $1 is not healthy after 60 s"
}

# away NODE COMMAND... : what happens while a node's process is dead and nobody starts it again.
away() {
  local node=$1 process
  shift
  process=$(process_of "$node")
  kill -STOP "$dev_pid"
  kill -9 "$process"
  "$@"
  kill -CONT "$dev_pid"
}

# The log's cost. A log of 25 regions of 4 MiB: writes to one region, which enters it once; to 20 regions, which fit; and to 250 of them, so that
# regions enter and leave it all the time.
measure_log() {
  local run pool
  echo "log: random writes of 4 KiB at queue depth 32 to two replicas on one disk (IOPS): what the activity log costs"
  start --nodes 2 --pool-size 4GiB
  stop_dev
  for pool in "$KEELSON_DIR"/*/disk.pool; do "$KEELSON_BINARY" pool set "$pool" --hot-regions 25 >/dev/null; done
  start_dev "$KEELSON_BINARY" "$work/dev.log" --dir "$KEELSON_DIR" --port "$(first_free_port 16)" --nodes 2 --pool-size 4GiB
  "$KEELSON_BINARY" volume create hot --size 1000MiB --replicas 2 >/dev/null
  "$KEELSON_BINARY" bench hot --rw write --bs 1m --iodepth 8 --size 1000MiB --one-pass --output json >/dev/null
  for ((run = 0; run < runs; run++)); do
    bench hot --rw randwrite --bs 4k --iodepth 32 --size 4MiB >>"$work/log.one"
    bench hot --rw randwrite --bs 4k --iodepth 32 --size 80MiB >>"$work/log.fits"
    bench hot --rw randwrite --bs 4k --iodepth 32 --size 1000MiB >>"$work/log.wide"
  done
  line "fits" "one region" "$work/log.one" "20 regions, all hot" "$work/log.fits"
  line "ten times" "one region" "$work/log.one" "250 regions" "$work/log.wide"
  stop_dev
}

measure_latency() {
  local run
  echo "latency: writes of 4 KiB at queue depth 1, in memory (µs): two replicas, one of them remote, against one remote replica"
  start --nodes 2 --pool mem:512MiB
  volume single 1 256MiB
  volume double 2 256MiB
  for ((run = 0; run < runs; run++)); do
    mean_of single --rw randwrite --bs 4k --iodepth 1 >>"$work/latency.single"
    mean_of double --rw randwrite --bs 4k --iodepth 1 >>"$work/latency.double"
  done
  line "randwrite" "one replica" "$work/latency.single" "two replicas" "$work/latency.double"
  stop_dev
}

# A node is away while 100 MiB are written to a volume of 10 GiB: what is sent when it is back, and how long that takes.
measure_return() {
  local node began sent read changed=$((100 << 20))
  echo "return: a node of a 10 GiB volume is killed, misses 100 MiB, and comes back"
  start --nodes 2 --pool-size 12GiB
  "$KEELSON_BINARY" volume create big --size 10GiB --replicas 2 >/dev/null
  "$KEELSON_BINARY" bench big --rw write --bs 1m --iodepth 8 --size 1GiB --one-pass --output json >/dev/null
  node=$(other_of big)
  away "$node" "$KEELSON_BINARY" bench big --rw write --bs 64k --iodepth 8 --size "$changed" --one-pass --output json >/dev/null
  began=$(now_ms)
  sleep 0.5
  await_healthy big
  read -r sent read <<<"$("$KEELSON_BINARY" rebuild list --volume big --output json | json '"%d %d" % (d[-1]["bytes_sent"], d[-1]["bytes_read"])')"
  printf '  healthy after %d ms; %.1f MiB sent, %.2f of what changed; %.1f MiB of the source read\n' $(($(now_ms) - began)) \
    "$(compute 'v[0] / 1048576' "$sent")" "$(compute 'v[0] / v[1]' "$sent" "$changed")" "$(compute 'v[0] / 1048576' "$read")"
  stop_dev
}

# The node of an idle volume's nexus dies: when a read is answered again, and when the volume is healthy; what was read for that.
measure_takeover() {
  local node began served healthy
  echo "takeover: kill -9 of the node with the nexus of an idle 100 GiB thin volume, two replicas on two of three nodes"
  start --nodes 3 --pool-size 110GiB
  "$KEELSON_BINARY" volume create wide --size 100GiB --replicas 2 >/dev/null
  "$KEELSON_BINARY" bench wide --rw randwrite --bs 4k --iodepth 32 --runtime 3 --output json >/dev/null
  sleep 6
  node=$(nexus_of wide)
  kill -9 "$(process_of "$node")"
  began=$(now_ms)
  until timeout 10 "$KEELSON_BINARY" bench wide --rw randread --bs 4k --iodepth 1 --size 4k --one-pass --output json >"$work/bench.json" 2>/dev/null; do
    (($(now_ms) - began < 60000)) || fail "no read is answered 60 s after the nexus died"
  done
  served=$(($(now_ms) - began))
  await_healthy wide
  healthy=$(($(now_ms) - began))
  printf '  a read was answered after %d ms, healthy after %d ms; rebuilds read %.3f %% of the volume\n' "$served" "$healthy" \
    "$("$KEELSON_BINARY" rebuild list --volume wide --output json | json 'sum(r["bytes_read"] for r in d) / (100 << 30) * 100')"
  stop_dev
}

# A rebuild beside commands of a host: p99 with and without, in turns.
measure_governor() {
  local node run
  echo "governor: p99 of reads and writes at queue depth 4 with and without a rebuild beside them, five pairs (µs)"
  start --nodes 2 --pool-size 4GiB
  volume busy 2
  node=$(other_of busy)
  for ((run = 0; run < 5; run++)); do
    p99_of busy --rw randrw --bs 4k --iodepth 4 --size 64MiB >>"$work/governor.idle"
    away "$node" "$KEELSON_BINARY" bench busy --rw write --bs 256k --iodepth 4 --output json --one-pass --size 900MiB >/dev/null
    until [[ $(state_of busy) == rebuilding ]]; do sleep 0.05; done
    p99_of busy --rw randrw --bs 4k --iodepth 4 --size 64MiB >>"$work/governor.copying"
    [[ $(state_of busy) == rebuilding ]] || echo "  (the rebuild was over before the measurement)"
    await_healthy busy
  done
  line "randrw" "alone" "$work/governor.idle" "beside a rebuild" "$work/governor.copying"
  printf '  pairs: %s\n' "$(paste -d/ "$work/governor.copying" "$work/governor.idle" | python3 -c 'import sys
print(", ".join("%.2f" % (float(a) / float(b)) for a, b in (line.split("/") for line in sys.stdin)))')"
  stop_dev
}

# start_cluster : three members of etcd, three nodes and two controllers, all on loopback; exports KEELSON_STORE.
start_cluster() {
  local port node members= clients= peers=() tenths
  port=$(first_free_port 9)
  for node in 0 1 2; do
    peers[node]=http://127.0.0.1:$((port + node))
    members+=${members:+,}n$node=${peers[node]}
    clients+=${clients:+,}127.0.0.1:$((port + 3 + node))
  done
  export KEELSON_STORE=etcd://$clients
  for node in 0 1 2; do
    background "etcd-$node" etcd --name "n$node" --data-dir "$work/etcd-$node" --initial-cluster "$members" --initial-cluster-state new \
      --listen-peer-urls "${peers[node]}" --initial-advertise-peer-urls "${peers[node]}" --log-level error \
      --listen-client-urls "http://127.0.0.1:$((port + 3 + node))" --advertise-client-urls "http://127.0.0.1:$((port + 3 + node))"
  done
  for ((tenths = 0; tenths < 200; tenths++)); do
    "$KEELSON_BINARY" node list >/dev/null 2>&1 && break
    sleep 0.1
  done
  for node in 0 1; do background "controller-$node" "$KEELSON_BINARY" controller --name "machine-$node"; done
  for node in 0 1 2; do
    background "node-$node" "$KEELSON_BINARY" node --name "node-$node" --listen "127.0.0.1:$((port + 6 + node))" --pool "disk=$work/node-$node.pool" --pool-size 20GiB
  done
  for ((tenths = 0; tenths < 300; tenths++)); do
    [[ $("$KEELSON_BINARY" node list --output json | json 'len([n for n in d if n["state"] == "ready"])') != 3 ]] || return 0
    sleep 0.1
  done
  tail -n 20 "$work"/*.log >&2
  fail "the cluster's nodes do not become ready"
}

# One after another on an idle cluster, then a hundred at once.
measure_control() {
  local number began failures=0 host=nqn.2014-08.org.nvmexpress:uuid:6f0f3c52-6a3e-4a4e-9d39-6d1f3a2b7c11 pids=()
  echo "control: volumes of two replicas on three nodes with three members of etcd (ms)"
  command -v etcd >/dev/null || fail "etcd is missing; Debian's package is etcd-server"
  start_cluster
  sleep 3
  for ((number = 0; number < 10; number++)); do
    began=$(now_ms)
    "$KEELSON_BINARY" volume create "single-$number" --size 64MiB --replicas 2 >/dev/null
    "$KEELSON_BINARY" volume publish "single-$number" --host "$host" >/dev/null
    echo $(($(now_ms) - began)) >>"$work/control.single"
  done
  printf '  create and publish one: median %.0f, longest %.0f\n' "$(median "$work/control.single")" "$(sort -n "$work/control.single" | tail -n 1)"
  began=$(now_ms)
  for ((number = 0; number < 100; number++)); do
    { "$KEELSON_BINARY" volume create "many-$number" --size 64MiB --replicas 2 --wait 5m && "$KEELSON_BINARY" volume publish "many-$number" \
      --host "$host" --wait 5m; } >"$work/many-$number.out" 2>&1 &
    pids+=($!)
  done
  for ((number = 0; number < 100; number++)); do
    wait "${pids[number]}" || { failures=$((failures + 1)) && tail -n 3 "$work/many-$number.out" >&2; }
  done
  printf '  create and publish 100 at once: all after %d, %d failed\n' $(($(now_ms) - began)) "$failures"
  stop_cluster
  ((failures == 0)) || fail "$failures of 100 volumes could not be created and published"
}

echo "$(nproc) cores, $(uname -r), $runs runs of $seconds s for each figure"
for name in "${names[@]}"; do "measure_$name"; done
