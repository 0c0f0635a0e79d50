# Sourced in the guest, by its init and by guest scripts (plain POSIX shell).

# A kernel log line that fails the run, whatever the script's own status.
kernel_complaint='WARNING: |BUG: |Oops|general protection fault|unable to handle|blocked for more than|refcount_t: |list_(add|del) corruption'

# Prints the device of the serial port that leads to the machine outside.
control_port() {
  local port
  for port in /sys/class/virtio-ports/*; do
    [ "$(cat "$port/name" 2>/dev/null)" = control ] && echo "/dev/${port##*/}" && return 0
  done
  return 1
}

# tell_machine LINE : one line to the machine, no answer expected.
tell_machine() {
  echo "$1" >"$(control_port)"
}

# ask_machine STEP [ARGUMENT...] : has the machine's handler do a step, waits for it, prints what the handler answered and
# returns its exit status.
ask_machine() {
  local status answer
  exec 7<>"$(control_port)" || return 1
  echo "step $*" >&7
  read -r status answer <&7
  exec 7>&-
  [ -z "$answer" ] || echo "$answer"
  return "${status:-1}"
}
