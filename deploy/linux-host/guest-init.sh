#!/bin/busybox sh
# The guest's first process: prepares the machine, runs /guest/script once, reports its exit status and the kernel's complaints
# to the machine outside, and powers off. run.sh writes /guest/settings: timeout_seconds.
export PATH=/usr/sbin:/usr/bin HOME=/ LC_ALL=C TERM=dumb
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mkdir -p /dev/shm && mount -t tmpfs tmpfs /dev/shm
ln -sf /proc/self/fd /dev/fd
stty -F /dev/ttyS0 -onlcr
exec </dev/null >/dev/ttyS0 2>&1
. /guest/settings
. /guest/library.sh

modprobe -a virtio_pci virtio_net virtio_console virtio_rng nvme_tcp
hostname linux-host
ip link set lo up
tries=0
while [ ! -e /sys/class/net/eth0 ] && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
ip addr add 10.0.2.15/24 dev eth0 && ip link set eth0 up
# A task that waits this long for its I/O is a failure; the kernel's own default is longer than a whole test.
echo 60 >/proc/sys/kernel/hung_task_timeout_secs

setsid sh -c '/guest/script; echo $? >/run/status' &
while [ ! -s /run/status ]; do
  read -r uptime idle </proc/uptime
  [ "${uptime%.*}" -lt "$timeout_seconds" ] || break
  sleep 0.2
done
if [ -s /run/status ]; then
  read -r status </run/status
else
  status=124
  echo "linux-host: the guest script had not ended $timeout_seconds s after boot; tasks that wait:"
  ps -o pid,stat,args | grep -v ']$'
  echo w >/proc/sysrq-trigger
  sleep 1
fi
complaints=$(dmesg | grep -cE "$kernel_complaint")
if [ "$complaints" != 0 ]; then
  echo "linux-host: the kernel complained:"
  dmesg | grep -E -A 30 "$kernel_complaint" | head -n 120
elif [ "$status" != 0 ]; then
  echo "linux-host: the end of the kernel's log:"
  dmesg | sed '1,/Run .init as init/d' | tail -n 40
fi
tell_machine "exit $status $complaints"
poweroff -n -f
