#!/bin/bash
# Boots a Debian kernel in QEMU (software emulation, no KVM) as a real Linux NVMe/TCP host, runs one script in it, and
# returns that script's exit status.
#
#   run.sh [--timeout SECONDS] [--handler COMMAND] [--forward PORT:GUEST_PORT] [--set NAME=VALUE]... [--program FILE]... GUEST_SCRIPT
#
# In the guest: bash, busybox, nvme, fio, mkfs.ext4, e2fsck, blkdiscard, the programs of xfs and btrfs, each FILE in /guest/bin with the
# libraries it needs, and the functions of guest-library.sh. The guest
# reaches the machine's 127.0.0.1 as 10.0.2.2; with --forward, the machine's 127.0.0.1:PORT leads to GUEST_PORT in the guest. NAME=VALUE becomes an environment variable of the script. When the script
# calls `ask_machine STEP ARGUMENT...`, `COMMAND STEP ARGUMENT...` runs here; its exit status and last line go back.
#
# Exit status: the script's own; 97 when it passed but the kernel logged a warning, a bug or a hung task; 98 when the guest
# ended without a word; 99 when it could not be started; 124 when the time was up. Nothing is left running.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
  sed -n 's/^#   //p' "${BASH_SOURCE[0]}" >&2
  exit 99
}
timeout_seconds=300 handler= forward= memory=1024 settings=() programs=()
while (($#)); do
  case $1 in
    --timeout) timeout_seconds=${2:?} && shift 2 ;;
    --handler) handler=${2:?} && shift 2 ;;
    --forward) forward=${2:?} && shift 2 ;;
    --set) settings+=("${2:?}") && shift 2 ;;
    --program) programs+=("${2:?}") && memory=2560 && shift 2 ;;
    -*) usage ;;
    *) break ;;
  esac
done
[[ $# == 1 && -f $1 ]] || usage
script=$1
command -v qemu-system-x86_64 >/dev/null ||
  { echo "run.sh: qemu-system-x86_64 is missing; deploy/test.sh installs what the tests need" >&2 && exit 99; }
image=$("$here/image.sh") || exit 99
read -r kernel userland modules <<<"$image"

work=$(mktemp -d "${TMPDIR:-/tmp}/keelson-linux-host.XXXXXX")
qemu_pid=
cleanup() {
  [[ -z $qemu_pid ]] || kill -9 "$qemu_pid" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

mkdir -p "$work/root/guest/bin"
install -m 755 "$script" "$work/root/guest/script"
for program in "${programs[@]}"; do
  install -m 755 "$program" "$work/root/guest/bin/"
  while read -r library; do
    case $library in
      /lib/* | /lib64/*) install -D "$library" "$work/root/usr$library" ;;
      *) install -D "$library" "$work/root$library" ;;
    esac
  done < <(ldd "$program" 2>/dev/null | sed -nE 's/.* => (\/[^ ]+) .*/\1/p; s/^[[:space:]]*(\/[^ ]+) .*/\1/p')
done
{
  # The guest gives up first, so that it can still say what it was waiting for.
  echo "timeout_seconds=$((timeout_seconds > 60 ? timeout_seconds - 20 : timeout_seconds / 2))"
  for setting in "${settings[@]}"; do printf 'export %s=%q\n' "${setting%%=*}" "${setting#*=}"; done
} >"$work/root/guest/settings"
{
  cat "$userland" "$modules"
  (cd "$work/root" && find . -mindepth 1 | cpio --quiet --create --format=newc --owner=0:0)
} >"$work/initramfs"
mkfifo "$work/control.in" "$work/control.out"
exec 5<>"$work/control.out" 6<>"$work/control.in"

# The watchdogs stay quiet because an emulated processor that shares two cores with the daemons under test is slow, not stuck.
# The death signal takes QEMU along even when this script is killed outright.
setpriv --pdeathsig KILL qemu-system-x86_64 \
  -nodefaults -no-user-config -display none -no-reboot \
  -machine pc -accel tcg,thread=multi -cpu max,la57=off -smp 2 -m $memory \
  -kernel "$kernel" -initrd "$work/initramfs" \
  -append "console=ttyS0 quiet loglevel=1 panic=-1 oops=panic log_buf_len=4M mitigations=off nowatchdog no_timer_check cryptomgr.notests \
random.trust_cpu=on rcupdate.rcu_cpu_stall_suppress=1 workqueue.watchdog_thresh=0" \
  -chardev stdio,id=console,signal=off -serial chardev:console \
  -netdev "user,id=net,ipv6=off${forward:+,hostfwd=tcp:127.0.0.1:${forward%%:*}-:${forward##*:}}" -device virtio-net-pci,netdev=net,romfile= \
  -object rng-random,id=random,filename=/dev/urandom -device virtio-rng-pci,rng=random \
  -device virtio-serial-pci -chardev "pipe,id=control,path=$work/control" -device virtserialport,chardev=control,name=control \
  </dev/null 5>&- 6>&- &
qemu_pid=$!
disown "$qemu_pid"

deadline=$((SECONDS + timeout_seconds)) status= complaints=0
while [[ -z $status ]]; do
  if ((SECONDS >= deadline)); then
    echo "run.sh: the guest was still running after $timeout_seconds s" >&2
    exit 124
  fi
  if ! IFS= read -r -t 1 line <&5; then
    kill -0 "$qemu_pid" 2>/dev/null && continue
    # QEMU may have ended right after the guest's last line was written.
    IFS= read -r -t 0.2 line <&5 || break
  fi
  read -r verb arguments <<<"$line"
  case $verb in
    exit) read -r status complaints <<<"$arguments" ;;
    step)
      read -ra words <<<"$arguments"
      result=0
      answer=
      if [[ -n $handler ]]; then
        left=$((deadline - SECONDS))
        answer=$(timeout -k 5 "$((left > 0 ? left : 1))" "$handler" "${words[@]}" 5>&- 6>&-) || result=$?
      else
        result=1
        answer="no handler was given"
      fi
      printf '%d %s\n' "$result" "$(tail -n 1 <<<"$answer")" >&6
      ;;
    *) echo "run.sh: the guest said something unknown: $line" >&2 ;;
  esac
done

# The guest powers off by itself; one that cannot is ended by the clean-up.
for ((tenths = 0; tenths < 50; tenths++)); do
  kill -0 "$qemu_pid" 2>/dev/null || break
  sleep 0.1
done
if [[ -z $status ]]; then
  echo "run.sh: the guest ended without reporting a status" >&2
  exit 98
fi
if [[ $status == 0 && $complaints != 0 ]]; then
  echo "run.sh: the script passed, but the guest's kernel logged $complaints complaints" >&2
  exit 97
fi
exit "$status"
