# Shared by failover-test.sh and cluster-test.sh, whose steps it serves: when things happened in an event, and what came of it. Source it after
# library.sh. EVENT_WORK is a folder; `keelson` must be a function that reaches the cluster, $volume the volume, `logs` print the log files.

now_ms() {
  echo $((${EPOCHREALTIME/[.,]/} / 1000))
}

# began : the trouble begins now.
began() {
  rm -f "$EVENT_WORK"/healed "$EVENT_WORK"/healthy
  now_ms >"$EVENT_WORK/began"
}

# healed : nothing is broken any more, unless that was said before. From now on it is looked when the volume is healthy.
healed() {
  [[ ! -s $EVENT_WORK/healed ]] || return 0
  now_ms >"$EVENT_WORK/healed"
  setsid "$0" watch-health </dev/null >/dev/null 2>&1 &
}

# watch_health : waits until the volume is healthy and stays so for a moment; notes when that began.
watch_health() {
  local began since= state
  began=$(now_ms)
  # Whoever waits for it may be gone, and the folder with it.
  while [[ -d $EVENT_WORK ]] && (($(now_ms) - began < 150000)); do
    state=$(keelson volume show "$volume" --output json 2>/dev/null | json 'd["state"]' 2>/dev/null || true)
    if [[ $state != healthy ]]; then
      since=
    elif [[ -z $since ]]; then
      since=$(now_ms)
    elif (($(now_ms) - since >= 1500)); then
      echo "$since" >"$EVENT_WORK/healthy"
      return
    fi
    sleep 0.3
  done
  [[ ! -d $EVENT_WORK ]] || echo "never ($state)" >"$EVENT_WORK/healthy"
}

# await_healthy : waits for what `healed` has begun.
await_healthy() {
  local tenths
  for ((tenths = 0; tenths < 1600; tenths++)); do
    [[ ! -s $EVENT_WORK/healthy ]] || break
    sleep 0.1
  done
  [[ $(cat "$EVENT_WORK/healthy" 2>/dev/null) =~ ^[0-9]+$ ]] || { echo "volume $volume is not healthy: $(cat "$EVENT_WORK/healthy")" && return 1; }
}

# result STEP LONGEST-PAUSE-MS GOAL-MS ERRORS SIGHT... : prints the timeline of the event and keeps its row of the table. A sight is what the host
# saw of a path: "ms,address:port,state,ANA state".
result() {
  keelson rebuild list --volume "$volume" --output json >"$EVENT_WORK/rebuilds.json" 2>/dev/null || echo '[]' >"$EVENT_WORK/rebuilds.json"
  # shellcheck disable=SC2046
  python3 "$here/events.py" row "$EVENT_WORK" "$@" -- $(logs) >&2
}

# table : all rows. They go to EVENTS_JSON too, one object in a line, where that names a file.
table() {
  [[ -s $EVENT_WORK/rows.jsonl ]] || return 0
  python3 "$here/events.py" table "$EVENT_WORK/rows.jsonl"
  [[ -z ${EVENTS_JSON:-} ]] || cat "$EVENT_WORK/rows.jsonl" >>"$EVENTS_JSON"
}
