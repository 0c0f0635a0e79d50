#!/bin/bash
# The Linux host's side of volume-test.sh: uses a volume as the kernel, ext4 and fio do, while daemons are killed under it.
# Environment: ADDRESS, PORT, NQN, UUID and BYTES of the volume. Every step prints its time and result; after a failure the
# next step is tried, after a step that hangs nothing is. The exit status says whether all passed.
set -uo pipefail
. /guest/library.sh

failures=0

# step SECONDS TITLE COMMAND [ARGUMENT...] : runs a command within a time limit; its output is shown when it fails.
step() {
  local limit=$1 title=$2 begin=${EPOCHREALTIME/./} status=124 tenths pid known
  shift 2
  known=$(dmesg | wc -l)
  ("$@") >/tmp/step.out 2>&1 &
  pid=$!
  for ((tenths = 0; tenths < limit * 10; tenths++)); do
    if ! kill -0 "$pid" 2>/dev/null; then
      wait "$pid"
      status=$?
      break
    fi
    sleep 0.1
  done
  local milliseconds=$(((${EPOCHREALTIME/./} - begin) / 1000))
  if ((status == 0)); then
    printf '%7s s  %-64s ok    %6d ms\n' "$(cut -d ' ' -f 1 /proc/uptime)" "$title" "$milliseconds"
    sed 's/^/             /' /tmp/step.out | tail -n 4
    return 0
  fi
  failures=$((failures + 1))
  printf '%7s s  %-64s FAIL  %6d ms  status %d\n' "$(cut -d ' ' -f 1 /proc/uptime)" "$title" "$milliseconds" "$status"
  tail -n 25 /tmp/step.out | sed 's/^/           | /'
  dmesg | tail -n +$((known + 1)) | tail -n 12 | sed 's/^/           # /'
  ((status != 124)) || { echo "a step hung: giving up" && exit 124; }
  return 1
}

# expect NAME ACTUAL OPERATOR EXPECTED : a comparison that says both sides when it does not hold.
expect() {
  [ "$2" "$3" "$4" ] && return 0
  echo "$1 is '$2', expected $3 '$4'"
  return 1
}

# field NAME <nvme-cli's output : one value of a table "name : value".
field() {
  sed -nE "s/^$1[[:space:]]*:[[:space:]]*//p" | head -n 1
}

device() {
  local disk
  for disk in /sys/block/nvme*n*; do
    [[ $(cat "$disk/device/subsysnqn" 2>/dev/null) == "$NQN" && -b /dev/${disk##*/} ]] && echo "/dev/${disk##*/}" && return 0
  done
  return 1
}

controller() {
  local entry
  for entry in /sys/class/nvme/nvme*; do
    [[ $(cat "$entry/subsysnqn" 2>/dev/null) == "$NQN" ]] && echo "${entry##*/}" && return 0
  done
  return 1
}

discover() {
  nvme discover -t tcp -a "$ADDRESS" -s "$PORT" >/tmp/discovery || { cat /tmp/discovery && return 1; }
  # One record has the volume's name, this address and this port.
  awk -v nqn="$NQN" -v address="$ADDRESS" -v port="$PORT" '
    /^=====/ { name = ""; service = "" }
    /^trsvcid:/ { service = $2 }
    /^subnqn:/ { name = $2 }
    /^traddr:/ { if (name == nqn && service == port && $2 == address) found = 1 }
    END { exit !found }' /tmp/discovery || { cat /tmp/discovery && echo "no record of $NQN at $ADDRESS port $PORT" && return 1; }
}

# Two queues for reads, two for writes and the admin queue; a lost connection is tried again each second, for ever.
connect() {
  nvme connect -t tcp -a "$ADDRESS" -s "$PORT" -n "$NQN" --nr-io-queues=2 --nr-write-queues=2 --ctrl-loss-tmo=-1 \
    --reconnect-delay=1 --keep-alive-tmo=5 "$@" || return 1
  local tenths
  for ((tenths = 0; tenths < 100; tenths++)); do
    ! device >/dev/null || break
    sleep 0.1
  done
  device >/dev/null || { echo "connected, but no block device appeared" && return 1; }
  expect "number of queues" "$(cat "/sys/class/nvme/$(controller)/queue_count")" = 5
}

# The paths through other nodes, which take over when the first one's node dies.
connect_standbys() {
  local port
  for port in $STANDBY_PORTS; do
    nvme connect -t tcp -a "$ADDRESS" -s "$port" -n "$NQN" --nr-io-queues=2 --nr-write-queues=2 --ctrl-loss-tmo=-1 \
      --reconnect-delay=1 --keep-alive-tmo=5 "$@" || return 1
  done
}

disconnect() {
  nvme disconnect -n "$NQN" >/tmp/disconnect || { cat /tmp/disconnect && return 1; }
  ! controller || { echo "the controller is still there" && return 1; }
}

identify_controller() {
  local table
  table=$(nvme id-ctrl "/dev/$(controller)") || { echo "$table" && return 1; }
  expect subnqn "$(field subnqn <<<"$table")" = "$NQN" && expect nn "$(field nn <<<"$table")" -ge 1 &&
    expect kas "$(field kas <<<"$table")" -ge 1 && expect mn "$(field mn <<<"$table")" != "" &&
    expect maxcmd "$(field maxcmd <<<"$table")" -ge 1 &&
    expect "mdts (powers of two of 4 KiB)" "$(field mdts <<<"$table" | sed 's/^0$/99/')" -ge 8
}

identify_namespace() {
  local table name
  name=$(device)
  table=$(nvme id-ns "$name") || { echo "$table" && return 1; }
  expect nsze "$(($(field nsze <<<"$table") * 512))" = "$BYTES" && expect nguid "$(field nguid <<<"$table" | tr -d 0)" != "" &&
    expect "logical block size" "$(cat "/sys/block/${name##*/}/queue/logical_block_size")" = 512 &&
    expect "physical block size" "$(cat "/sys/block/${name##*/}/queue/physical_block_size")" = 4096 &&
    expect uuid "$(cat "/sys/block/${name##*/}/uuid")" = "$UUID"
}

smart_log() {
  local table
  table=$(nvme smart-log "/dev/$(controller)") || { echo "$table" && return 1; }
  expect "critical warning" "$(field critical_warning <<<"$table")" = 0
}

make_files() {
  local number
  mkdir -p /mnt/files && for number in {1..24}; do
    dd if=/dev/urandom of="/mnt/files/$number" bs=$((RANDOM * 29 + 1)) count=1 iflag=fullblock 2>/dev/null || return 1
  done
  (cd /mnt && sha256sum files/* >/tmp/checksums) && du -sk /mnt/files && sync
}

compare_files() {
  echo 3 >/proc/sys/vm/drop_caches
  mount -t ext4 "$(device)" /mnt || return 1
  (cd /mnt && sha256sum -c /tmp/checksums | grep -v ': OK$' && exit 1 || exit 0)
  local status=$?
  umount /mnt && return $status
}

# fio_verified LOG BLOCKS ARGUMENT... : a random write, read back and compared. fio has passed when it says so and when it
# wrote what it should (it exits with 0 even when it refused to start).
fio_verified() {
  local log=$1 blocks=$2 written
  shift 2
  fio --name=job --filename="$(device)" --direct=1 --ioengine=io_uring --rw=randwrite --verify=crc32c --verify_fatal=1 \
    --verify_state_save=0 --output="$log" "$@" || { cat "$log" && return 1; }
  grep -q 'err= 0' "$log" || { cat "$log" && return 1; }
  written=$(sed -nE 's/.*issued rwts: total=[0-9]+,([0-9]+),.*/\1/p' "$log")
  expect "number of writes" "${written:-0}" -ge "$blocks" && grep -E '^ *(read|write): IOPS' "$log"
}

# A steady 500 writes a second for about $1 seconds, then everything read back; runs beside other steps.
start_load() {
  local count=$(($1 * 500))
  rm -f /tmp/load.status
  (
    fio_verified /tmp/load.log "$count" --bs=4k --iodepth=16 --offset=256m --size="$((count * 4))k" --rate_iops=,500
    echo $? >/tmp/load.status
  ) >/tmp/load.out 2>&1 &
  load=$!
  sleep 3
}

load_is_running() {
  kill -0 "$load" 2>/dev/null || { cat /tmp/load.out && echo "the load ended too early" && return 1; }
}

# The load's own process belongs to the script's shell, so it leaves its status in a file for the step that asks.
join_load() {
  while kill -0 "$load" 2>/dev/null; do sleep 0.1; done
  cat /tmp/load.out
  return "$(cat /tmp/load.status 2>/dev/null || echo 1)"
}

# Writes completed on the paths to the volume: a kernel that knows of paths counts there and not on the shared device.
writes_done() {
  local disk
  for disk in /sys/block/nvme*n*; do
    [[ $(cat "$disk/device/subsysnqn") != "$NQN" ]] || cat "$disk/stat"
  done | awk '{ sum += $5 } END { print sum + 0 }'
}

# Waits until the volume has taken 500 more writes than at the time of the call.
writes_go_on() {
  local before
  before=$(writes_done)
  until (($(writes_done) >= before + 500)); do sleep 0.1; done
}

pattern() {
  head -c "$1" /dev/zero | tr '\0' '\252'
}

# reads_as FIRST_MIB COUNT_MIB zero|pattern
reads_as() {
  local bytes=$(($2 << 20))
  dd if="$(device)" bs=1M skip="$1" count="$2" iflag=direct 2>/dev/null >/tmp/actual || return 1
  if [[ $3 == zero ]]; then head -c $bytes /dev/zero; else pattern $bytes; fi >/tmp/expected
  cmp /tmp/actual /tmp/expected || { echo "MiB $1 to $(($1 + $2)) do not read as $3" && return 1; }
}

# The blocks named are zero afterwards and their neighbours untouched, by Deallocate and by Write Zeroes.
discard_range() {
  pattern $((12 << 20)) | dd of="$(device)" bs=1M seek=62 iflag=fullblock oflag=direct 2>/dev/null &&
    blkdiscard "$@" --offset $((64 << 20)) --length $((8 << 20)) "$(device)" &&
    reads_as 62 2 pattern && reads_as 64 8 zero && reads_as 72 2 pattern
}

discard_everything() {
  blkdiscard -f "$(device)" && reads_as 0 4 zero && reads_as 62 12 zero && reads_as $(((BYTES >> 20) - 4)) 4 zero
}

reset_three_times() {
  local round
  for round in 1 2 3; do
    load_is_running && nvme reset "/dev/$(controller)" && sleep 1.5 || return 1
  done
  writes_go_on
}

kill_under_load() {
  load_is_running && ask_machine "$1" && load_is_running && writes_go_on
}

# The nexus moved meanwhile; the way to where it was comes back too.
host_reconnected() {
  local tenths
  for ((tenths = 0; tenths < 150; tenths++)); do
    ! dmesg | grep -q 'Successfully reconnected' || [[ $(cat "/sys/class/nvme/$(controller)/state") != live ]] || return 0
    sleep 0.1
  done
  echo "the host never lost its connection, or never got it back"
  return 1
}

no_io_error() {
  ! dmesg | grep -E 'I/O error|Buffer I/O error|EXT4-fs (error|warning)'
}

round() {
  local title=$1
  shift
  step 30 "connect, four I/O queues, $title" connect "$@" || return 1
  step 10 "id-ctrl" identify_controller
  step 10 "id-ns: size, block sizes, identifiers" identify_namespace
  step 10 "smart-log" smart_log
  return 0
}

echo "A Linux $(uname -r) host; volume $NQN at $ADDRESS port $PORT"
step 20 "discovery lists the volume" discover
round "no digests" || exit 1
step 60 "mkfs.ext4" mkfs.ext4 -q -F "$(device)"
step 10 "mount" mount -t ext4 "$(device)" /mnt
step 60 "write 24 files" make_files
step 20 "unmount" umount /mnt
step 30 "remount and compare checksums" compare_files
step 60 "fio: 4 KiB random writes at queue depth 32, verified" \
  fio_verified /tmp/fio.log 6144 --bs=4k --iodepth=32 --offset=256m --size=24m
step 20 "disconnect" disconnect

round "header and data digests" -g -G || exit 1
step 30 "mount again and compare checksums" compare_files
step 30 "e2fsck finds nothing" e2fsck -f -n "$(device)"
step 90 "fio: 512 B to 512 KiB random writes, verified" \
  fio_verified /tmp/fio.log 300 --bssplit=512/20:4k/30:5k/10:64k/30:512k/10 --iodepth=16 --offset=256m --size=32m \
  --norandommap --serialize_overlap=1
step 60 "blkdiscard of a range" discard_range
step 60 "blkdiscard --zeroout of a range" discard_range --zeroout
step 60 "blkdiscard of the whole volume" discard_everything
start_load 15
step 60 "nvme reset, three times under load" reset_three_times
step 90 "  the load saw no error and reads back what it wrote" join_load
step 20 "disconnect" disconnect

step 30 "connect, four I/O queues, no digests" connect
start_load 10
step 60 "kill -9 the node of a replica under load" kill_under_load kill-replica
step 90 "  the load saw no error and reads back what it wrote" join_load
step 20 "  the replica comes back, and the volume says healthy" ask_machine expect-healthy
step 20 "disconnect" disconnect

answer=$(ask_machine create-second)
if read -r NQN PORT UUID STANDBY_PORTS <<<"$answer" && [[ -n $STANDBY_PORTS ]]; then
  echo "A second volume: $NQN at $ADDRESS port $PORT"
  step 30 "connect, four I/O queues, header and data digests" connect -g -G
  step 30 "connect through the other nodes too" connect_standbys -g -G
  start_load 12
  step 120 "kill -9 the node of the nexus under load" kill_under_load kill-nexus
  step 20 "  the host reconnected" host_reconnected
  step 120 "  the load saw no error and reads back what it wrote" join_load
  step 20 "disconnect" disconnect
else
  step 1 "create a second volume" expect "the machine's answer" "$answer" = "NQN PORT UUID PORT"
fi
step 10 "no I/O error in the kernel's log" no_io_error
echo "$failures steps failed"
((failures == 0))
