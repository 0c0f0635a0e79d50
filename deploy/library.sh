# Shared by the scripts in this folder; source it after `set -euo pipefail`.

# Says what went wrong on standard error and ends the script.
fail() {
  echo "${0##*/}: $*" >&2
  exit 1
}

# install_missing PACKAGE... : installs the Debian packages that are not installed yet; asks the network only when one is missing.
install_missing() {
  local package missing=()
  for package; do
    [[ $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null) == "install ok installed" ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  [[ $(id -u) == 0 ]] || fail "these Debian packages are missing and only root can install them: ${missing[*]}"
  echo "Installing ${missing[*]}"
  apt-get -qq update || fail "apt-get update failed; the packages ${missing[*]} could not be looked up"
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null ||
    fail "apt-get could not install ${missing[*]}"
}

# Ends the script unless a Swift toolchain of at least 6.2 is on the PATH.
need_swift() {
  local version
  command -v swift >/dev/null ||
    fail "no Swift toolchain on the PATH; Keelson needs 6.2 or newer (https://www.swift.org/install/linux/)"
  version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p' | head -n 1)
  [[ -n $version ]] || fail "$(command -v swift) does not say its version; Keelson needs Swift 6.2 or newer"
  [[ $(printf '%s\n' 6.2 "$version" | sort -V | head -n 1) == 6.2 ]] ||
    fail "Swift $version is too old: Keelson needs 6.2 or newer (https://www.swift.org/install/linux/)"
}

# json EXPRESSION <DOCUMENT : prints a Python expression over the JSON document `d`.
json() {
  python3 -c '
import json, sys
try: d = json.load(sys.stdin)
except ValueError: sys.exit("expected a JSON document, got something else")
print(eval(sys.argv[1]))' "$1"
}

# first_free_port COUNT : prints the first of COUNT successive TCP ports that nobody listens on.
first_free_port() {
  local count=$1 attempt base offset taken
  taken=" $(awk 'FNR > 1 && $4 == "0A" { split($2, a, ":"); print a[2] }' /proc/net/tcp /proc/net/tcp6 2>/dev/null |
    while read -r hex; do printf '%d ' "0x$hex"; done)"
  for ((attempt = 0; attempt < 50; attempt++)); do
    base=$((20000 + RANDOM % 10000))
    for ((offset = 0; offset < count; offset++)); do [[ $taken != *" $((base + offset)) "* ]] || continue 2; done
    echo "$base"
    return
  done
  fail "found no $count free TCP ports in a row above 20000"
}

# start_dev BINARY LOG ARGUMENT... : starts `keelson dev` and returns when volumes can be created. Sets dev_pid, and exports
# KEELSON_DIR's value as the caller set it. With `dev_outlives_script` set, dev goes on when the script ends.
start_dev() {
  local binary=$1 log=$2 tenths wrapper=(setpriv --pdeathsig TERM)
  shift 2
  [[ -z ${dev_outlives_script:-} ]] || wrapper=(setsid nohup)
  "${wrapper[@]}" "$binary" dev "$@" >"$log" 2>&1 </dev/null &
  dev_pid=$!
  disown "$dev_pid"
  for ((tenths = 0; tenths < 600; tenths++)); do
    ! grep -qx ready "$log" || return 0
    kill -0 "$dev_pid" 2>/dev/null || break
    sleep 0.1
  done
  tail -n 30 "$log" >&2
  fail "keelson dev $* did not become ready; the end of its log is above"
}

# stop_dev : ends `keelson dev` and everything it started; a process that has not ended by itself within 20 s is killed.
stop_dev() {
  local tenths pid pids
  [[ -n ${dev_pid:-} ]] || return 0
  pids="$dev_pid $(cat /proc/"$dev_pid"/task/*/children 2>/dev/null || true)"
  kill -TERM "$dev_pid" 2>/dev/null || true
  dev_pid=
  for ((tenths = 0; tenths < 200; tenths++)); do
    # shellcheck disable=SC2086
    kill -0 $pids 2>/dev/null || return 0
    sleep 0.1
  done
  for pid in $pids; do
    ! kill -9 "$pid" 2>/dev/null || echo "${0##*/}: process $pid of keelson dev had to be killed" >&2
  done
}
