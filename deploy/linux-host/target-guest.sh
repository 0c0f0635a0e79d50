#!/bin/bash
# The guest's side of target-test.sh: the kernel's own NVMe/TCP target on port 4420, with a namespace in memory.
set -euo pipefail
. /guest/library.sh
name=$NQN config=/sys/kernel/config/nvmet

modprobe nvmet-tcp
modprobe null_blk memory_backed=1 gb=1 bs="$BLOCK_BYTES" nr_devices=1
mount -t configfs none /sys/kernel/config 2>/dev/null || true
mkdir "$config/subsystems/$name"
echo 1 >"$config/subsystems/$name/attr_allow_any_host"
mkdir "$config/subsystems/$name/namespaces/1"
echo -n /dev/nullb0 >"$config/subsystems/$name/namespaces/1/device_path"
echo 1 >"$config/subsystems/$name/namespaces/1/enable"
mkdir "$config/ports/1"
echo 0.0.0.0 >"$config/ports/1/addr_traddr"
echo tcp >"$config/ports/1/addr_trtype"
echo 4420 >"$config/ports/1/addr_trsvcid"
echo ipv4 >"$config/ports/1/addr_adrfam"
ln -s "$config/subsystems/$name" "$config/ports/1/subsystems/$name"
ask_machine use
