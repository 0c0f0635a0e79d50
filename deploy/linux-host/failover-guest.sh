#!/bin/bash
# The Linux host's side of failover-test.sh and cluster-test.sh: native multipath over all paths of one volume, verified I/O, and trouble.
# Environment: NQN; PATHS, "address:port ..."; EVENTS, "step:goal in ms[:seconds of load] ..."; KEEP_ALIVE in seconds.
# For each event it prints the longest time that a command took: the pause as an application sees it. What it saw of its paths it tells the
# machine outside, which knows the rest.
set -uo pipefail
. /guest/library.sh

failures=0
size_mib=24

say() {
  printf '%7s s  %s\n' "$(cut -d ' ' -f 1 /proc/uptime)" "$*"
}

flunk() {
  failures=$((failures + 1))
  say "FAIL $*"
}

connect_all() {
  local path
  for path in $PATHS; do
    nvme connect -t tcp -a "${path%:*}" -s "${path##*:}" -n "$NQN" --nr-io-queues=2 --ctrl-loss-tmo=-1 --reconnect-delay=1 \
      --keep-alive-tmo="${KEEP_ALIVE:-5}" || return 1
  done
}

device() {
  local disk
  for disk in /sys/block/nvme*n*; do
    [[ $(cat "$disk/device/subsysnqn" 2>/dev/null) == "$NQN" && -b /dev/${disk##*/} ]] && echo "/dev/${disk##*/}" && return 0
  done
  return 1
}

# "optimized inaccessible": the states of all live paths, sorted.
path_states() {
  local state
  for state in /sys/class/nvme/nvme*/nvme*c*n*/ana_state; do cat "$state" 2>/dev/null; done | sort -r | tr '\n' ' '
}

# Notes each change of a path until /tmp/watching is gone: "µs,address:port,state,ANA state". Without a process for each look: this machine is slow.
watch_paths() {
  local controller file address state ana
  declare -A last=()
  while [[ -e /tmp/watching ]]; do
    for controller in /sys/class/nvme/nvme*; do
      address= state= ana=-
      { read -r address <"$controller/address" && read -r state <"$controller/state"; } 2>/dev/null
      [[ $address == traddr=* && -n $state ]] || continue
      for file in "$controller"/nvme*c*n*/ana_state; do { read -r ana <"$file"; } 2>/dev/null; done
      [[ ${last[$address]:-} != "$state,$ana" ]] || continue
      last[$address]=$state,$ana
      [[ $address =~ traddr=([^,]+),trsvcid=([0-9]+) ]]
      echo "${EPOCHREALTIME/./},${BASH_REMATCH[1]}:${BASH_REMATCH[2]},$state,${ana:--}" >>/tmp/sights
    done
    read -r -t 0.05 <&9
  done
}

# The machine's clock less ours, in ms.
clock_offset() {
  local before after theirs
  before=${EPOCHREALTIME/./}
  theirs=$(ask_machine clock) || return 1
  after=${EPOCHREALTIME/./}
  echo $((theirs - (before + after) / 2000))
}

# The sights as the machine takes them: in ms of its clock.
sights() {
  local offset=$1 time rest
  while IFS=, read -r time rest; do echo "$((time / 1000 + offset)),$rest"; done </tmp/sights | head -n 60 | tr '\n' ' '
}

# Waits until there is one way in, and a way out beside it.
await_paths() {
  local tenths states
  for ((tenths = 0; tenths < 300; tenths++)); do
    states=$(path_states)
    [[ $(wc -w <<<"$states") == $(wc -w <<<"$PATHS") && $states == "optimized inaccessible"* && $states != *"optimized optimized"* ]] && return 0
    sleep 0.1
  done
  flunk "the paths are '$states'"
  return 1
}

discovered() {
  local path=${PATHS%% *}
  nvme discover -t tcp -a "${path%:*}" -s "${path##*:}" 2>/dev/null | grep -c "^subnqn: *$NQN\$"
}

# load NAME SECONDS : 200 writes a second at queue depth 8, then everything read back and compared.
# Not with io_uring, whose writes must not block: this kernel's multipath, having taken one back from a path that was lost, gives it to the next
# path as it is, and where that is just being connected the writer is told EAGAIN (mended in Linux 6.13: they may block from then on).
load() {
  fio --name="$1" --filename="$disk" --direct=1 --ioengine=libaio --rw=randwrite --bs=4k --iodepth=8 --size="${size_mib}m" \
    --rate_iops=,200 --number_ios=$(($2 * 200)) --verify=crc32c --verify_fatal=1 --verify_state_save=0 \
    --eta=never --output-format=json --output="/tmp/$1.json" 2>/tmp/"$1".err
}

# The longest write of a job, in milliseconds.
longest_write() {
  awk '/"write" : \{/ { inside = 1 } inside && /"clat_ns" : \{/ { latency = 1 }
    inside && latency && /"max" : / { gsub(/[^0-9]/, ""); printf "%d", $0 / 1000000; exit }' "/tmp/$1.json"
}

event() {
  local step=$1 limit=$2 seconds=$3 job answer longest offset errors=0
  job=/tmp/job.$step
  await_paths || return
  offset=$(clock_offset) || offset=0
  : >/tmp/sights
  : >/tmp/watching
  watch_paths &
  watcher=$!
  (
    load "$step" "$seconds"
    echo $? >"$job.status"
  ) &
  sleep 3
  answer=$(ask_machine "$step") || flunk "$step: $answer"
  while [[ ! -s $job.status ]]; do sleep 0.1; done
  rm -f /tmp/watching
  wait "$watcher"
  longest=$(longest_write "$step")
  if [[ $(cat "$job.status") != 0 ]] || ! grep -q '"error" : 0' "/tmp/$step.json"; then
    errors=1
    flunk "$step: the load saw an error"
    tail -n 20 "/tmp/$step.err" "/tmp/$step.json"
  elif [[ -z $longest ]]; then
    flunk "$step: the load does not say how long its writes took"
  elif ((longest > limit)); then
    # Told, and no failure: how long it takes depends on what else the machine does.
    say "$step: $answer; longest pause $longest ms, OVER THE GOAL of $limit ms; no error, all data read back"
  else
    say "$step: $answer; longest pause $longest ms (goal $limit ms), no error, all data read back"
  fi
  rm -f "$job.status"
  answer=$(ask_machine settle) || flunk "settle: $answer"
  # shellcheck disable=SC2046
  ask_machine result "$step" "${longest:-0}" "$limit" "$errors" $(sights "$offset") >/dev/null || flunk "$step: its table could not be written"
}

mkfifo /tmp/nothing && exec 9<>/tmp/nothing
# The nodes may be beyond the emulator's own network.
ip route add default via 10.0.2.2 2>/dev/null || true
connect_all || exit 1
for ((tenths = 0; tenths < 100; tenths++)); do
  disk=$(device) && break
  sleep 0.1
done
[[ -n $disk ]] || { say "no block device appeared" && exit 1; }
say "a Linux $(uname -r) host; $disk, paths: $(path_states)"
[[ $(discovered) == $(wc -w <<<"$PATHS") ]] || flunk "discovery tells of $(discovered) paths"
load quiet 5 || flunk "the load fails without any trouble"
say "without trouble: longest write $(longest_write quiet) ms"
for entry in $EVENTS; do
  IFS=: read -r step limit seconds <<<"$entry"
  event "$step" "$limit" "${seconds:-${LOAD_SECONDS:-14}}"
done
if dmesg | grep -E 'I/O error|Buffer I/O error'; then flunk "the kernel logged I/O errors"; fi
nvme disconnect -n "$NQN" >/dev/null || flunk "disconnect"
say "$failures failures"
((failures == 0))
