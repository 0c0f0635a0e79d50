#!/bin/bash
# The Linux host's side of csi-test.sh: the CSI node plugin with the kernel's own NVMe host, filesystems and programs. The calls come from
# outside; what they did is looked at here. Environment: KEELSON, the binary; CONTROLLER, where its other half is; SANITY, a csi-sanity in
# /guest/bin, if it is to run; STEPS.
set -uo pipefail
. /guest/library.sh

export PATH=/guest/bin:$PATH
failures=0
plugin=
socket=/run/csi/csi.sock

start_plugin() {
  "$KEELSON" csi-node --node-name guest --host-id 6b65656c-736f-4e00-8000-000000000009 --topology zone=a --csi "unix://$socket" \
    --csi-tcp 0.0.0.0:9000 --csi-allow-tcp >>/run/plugin.log 2>&1 &
  plugin=$!
  local tenths
  for ((tenths = 0; tenths < 300; tenths++)); do
    [[ ! -S $socket ]] || ! grep -q "serves on" /run/plugin.log || return 0
    sleep 0.1
  done
  cat /run/plugin.log
  return 1
}

restart_plugin() {
  kill -9 "$plugin"
  wait "$plugin" 2>/dev/null
  : >/run/plugin.log
  start_plugin
}

# check TITLE COMMAND [ARGUMENT...] : runs a command; its output is shown when it fails.
check() {
  local title=$1 begin=${EPOCHREALTIME/./}
  shift
  if "$@" >/tmp/check.out 2>&1; then
    printf '%7s s  %-72s ok    %6d ms\n' "$(cut -d ' ' -f 1 /proc/uptime)" "$title" $(((${EPOCHREALTIME/./} - begin) / 1000))
    return 0
  fi
  failures=$((failures + 1))
  printf '%7s s  %-72s FAIL\n' "$(cut -d ' ' -f 1 /proc/uptime)" "$title"
  tail -n 20 /tmp/check.out | sed 's/^/           | /'
  tail -n 5 /run/plugin.log | sed 's/^/           # /'
  return 1
}

# refused CODE STEP... : the call must fail with that status.
refused() {
  local code=$1 answer
  shift
  if answer=$(ask_machine "$@"); then
    echo "$* was not refused: $answer"
    return 1
  fi
  [[ $answer == "$code: "* ]] || { echo "expected $code, got: $answer" && return 1; }
}

twice() { ask_machine "$@" && ask_machine "$@"; }
mounted_as() { grep -q " $1 $2 " /proc/mounts || { cat /proc/mounts; return 1; }; }
not_mounted() { ! grep " $1 " /proc/mounts; }
connected() { ls /sys/class/nvme 2>/dev/null | grep -c .; }
nothing_connected() {
  local tenths
  for ((tenths = 0; tenths < 50; tenths++)); do
    [[ $(connected) != 0 ]] || return 0
    sleep 0.1
  done
  ls /sys/class/nvme
  return 1
}
write_file() { dd if=/dev/urandom of="$1/file" bs=1M count=8 conv=fsync 2>/dev/null && sha256sum <"$1/file" >/run/sum; }
same_file() {
  echo 3 >/proc/sys/vm/drop_caches
  [[ $(sha256sum <"$1/file") == $(cat /run/sum) ]]
}
size_is() { [[ $(df -B1 --output=size "$1" 2>/dev/null | tail -n 1 || df -B 1 "$1" | awk 'END { print $2 }') -ge $2 ]] || { df "$1"; return 1; }; }

wanted() { [[ " $STEPS " == *" $1 "* ]]; }

# A whole life of a volume, each call twice and the plugin killed between any two.
life() {
  local kind=$1 mib=$2 target=/var/lib/kubelet/pods/$1/mount
  check "$kind: a volume is made and attached" ask_machine create "life-$kind" "$kind" "$mib" || return
  check "$kind: stage twice" twice stage "life-$kind" "$kind" || return
  check "$kind: the plugin is killed" restart_plugin
  check "$kind: publish twice" twice publish "life-$kind" "$kind" "$target"
  check "$kind: mounted" mounted_as "$target" "$kind"
  check "$kind: a file is written" write_file "$target"
  check "$kind: statistics" ask_machine stats "life-$kind" "$target"
  check "$kind: the plugin is killed" restart_plugin
  check "$kind: unstaging while it is published is refused" refused FAILED_PRECONDITION unstage "life-$kind"
  check "$kind: unpublish twice" twice unpublish "life-$kind" "$target"
  check "$kind: not mounted there any more" not_mounted "$target"
  check "$kind: the plugin is killed" restart_plugin
  check "$kind: unstage twice" twice unstage "life-$kind"
  check "$kind: nothing is connected" nothing_connected
  check "$kind: staged again" ask_machine stage "life-$kind" "$kind"
  check "$kind: published read-only" ask_machine publish "life-$kind" "$kind" "$target" true
  check "$kind: the file is the same" same_file "$target"
  check "$kind: nothing can be written" bash -c "! touch $target/more 2>/dev/null"
  check "$kind: published otherwise already" refused ALREADY_EXISTS publish "life-$kind" "$kind" "$target" false
  check "$kind: unpublish" ask_machine unpublish "life-$kind" "$target"
  if wanted grow; then
    check "$kind: published" ask_machine publish "life-$kind" "$kind" "$target"
    check "$kind: grows while it is mounted" ask_machine grow "life-$kind" $((mib * 2))
    check "$kind: the filesystem grows" ask_machine expand "life-$kind" "$target" $((mib * 2))
    check "$kind: it is larger" size_is "$target" $((mib * 1700000))
    check "$kind: the file is the same" same_file "$target"
    check "$kind: unpublish" ask_machine unpublish "life-$kind" "$target"
  fi
  check "$kind: unstage" ask_machine unstage "life-$kind"
  check "$kind: detach twice" twice detach "life-$kind"
  check "$kind: delete twice" twice delete "life-$kind"
}

raw_block() {
  local target=/var/lib/kubelet/pods/block/device
  check "block: a volume is made and attached" ask_machine create life-block block 64 || return
  check "block: stage twice" twice stage life-block block || return
  check "block: publish twice" twice publish life-block block "$target"
  check "block: it is a device" test -b "$target"
  check "block: written" dd if=/dev/urandom of="$target" bs=1M seek=4 count=8 conv=notrunc,fsync
  check "block: the plugin is killed" restart_plugin
  check "block: statistics" ask_machine stats life-block "$target"
  if wanted grow-block; then
    check "block: grows while it is published" ask_machine grow life-block 128
    check "block: the device grows" ask_machine expand life-block "$target" 128
    check "block: it is larger" bash -c "test \$(blockdev --getsize64 $target) = $((128 << 20))"
  fi
  check "block: unpublish twice" twice unpublish life-block "$target"
  check "block: the path is gone" test ! -e "$target"
  check "block: unstage twice" twice unstage life-block
  check "block: nothing is connected" nothing_connected
  # What holds data that nobody can name is not formatted.
  check "block: staged as raw again" ask_machine stage life-block block
  check "block: published" ask_machine publish life-block block "$target"
  check "block: its first bytes are somebody's" bash -c "echo precious | dd of=$target bs=512 seek=100 conv=notrunc,fsync"
  check "block: unpublish" ask_machine unpublish life-block "$target"
  check "block: unstage" ask_machine unstage life-block
  check "block: foreign data is not formatted" refused FAILED_PRECONDITION stage life-block ext4
  check "block: staged as raw again" ask_machine stage life-block block
  check "block: published" ask_machine publish life-block block "$target"
  check "block: the bytes are still there" bash -c "dd if=$target bs=512 skip=100 count=1 | grep -q precious"
  check "block: unpublish" ask_machine unpublish life-block "$target"
  check "block: unstage" ask_machine unstage life-block
  check "block: delete is refused while it is attached" refused FAILED_PRECONDITION delete life-block
  check "block: detach" ask_machine detach life-block
  check "block: delete" ask_machine delete life-block
}

# The node that serves is killed while a file is written.
lost_server() {
  local target=/var/lib/kubelet/pods/lost/mount
  check "lost: a volume is made and attached" ask_machine create lost ext4 128 || return
  check "lost: stage" ask_machine stage lost ext4 || return
  check "lost: publish" ask_machine publish lost ext4 "$target"
  check "lost: its server is killed" ask_machine kill-server lost
  check "lost: a file is written all the same" write_file "$target"
  check "lost: the file is the same" same_file "$target"
  check "lost: unpublish" ask_machine unpublish lost "$target"
  check "lost: unstage" ask_machine unstage lost
  check "lost: detach" ask_machine detach lost
  check "lost: delete" ask_machine delete lost
}

# copy FILESYSTEM MIB LARGER-MIB : a copy is mounted beside what it was made from, which neither xfs nor btrfs would do with its twin.
copy() {
  local kind=$1 target=/var/lib/kubelet/pods/copy-$1 name
  check "copy, $kind: a volume is made and attached" ask_machine create "original-$kind" "$kind" "$2" || return
  check "copy, $kind: stage" ask_machine stage "original-$kind" "$kind" || return
  check "copy, $kind: publish" ask_machine publish "original-$kind" "$kind" "$target/original"
  check "copy, $kind: a file is written" write_file "$target/original"
  check "copy, $kind: a snapshot is taken" ask_machine snapshot "original-$kind" "moment-$kind" || return
  check "copy, $kind: a larger volume is made of it" ask_machine restore "moment-$kind" "copied-$kind" "$kind" "$3" || return
  check "copy, $kind: stage beside it" ask_machine stage "copied-$kind" "$kind"
  check "copy, $kind: publish" ask_machine publish "copied-$kind" "$kind" "$target/copied"
  check "copy, $kind: the file is the same" same_file "$target/copied"
  check "copy, $kind: they are two" bash -c "rm $target/original/file && sync && test -s $target/copied/file"
  check "copy, $kind: it has taken all its room" size_is "$target/copied" $(($3 * 870000)) # less a log of 64 MiB
  for name in original copied; do
    check "copy, $kind: unpublish" ask_machine unpublish "$name-$kind" "$target/$name"
    check "copy, $kind: unstage" ask_machine unstage "$name-$kind"
    check "copy, $kind: detach" ask_machine detach "$name-$kind"
  done
}

cannot_write() { ! dd if=/dev/zero of="$1" bs=4096 count=1 seek=1000 oflag=direct conv=notrunc; }
device_of() { awk -v place="$1" '$2 == place { print $1 }' /proc/mounts; }

# Attached read-only: neither the mount nor the device can be written, and the journal is left as it is.
read_only() {
  local target=/var/lib/kubelet/pods/readonly/mount staging=/var/lib/kubelet/staging/readonly
  check "readonly: a volume is made and attached" ask_machine create readonly ext4 64 || return
  check "readonly: stage" ask_machine stage readonly ext4 || return
  check "readonly: publish" ask_machine publish readonly ext4 "$target"
  check "readonly: a file is written" write_file "$target"
  check "readonly: unpublish" ask_machine unpublish readonly "$target"
  check "readonly: unstage" ask_machine unstage readonly
  check "readonly: detach" ask_machine detach readonly
  check "readonly: attached read-only" ask_machine attach readonly ext4 true
  check "readonly: stage" ask_machine stage readonly ext4
  check "readonly: mounted so, without its journal" grep -qE " $staging ext4 ro,.*(noload|norecovery)" /proc/mounts
  check "readonly: the target refuses to write" cannot_write "$(device_of "$staging")"
  check "readonly: publish" ask_machine publish readonly ext4 "$target" true
  check "readonly: the file is the same" same_file "$target"
  check "readonly: unpublish" ask_machine unpublish readonly "$target"
  check "readonly: unstage" ask_machine unstage readonly
  check "readonly: detach" ask_machine detach readonly
  check "readonly: delete" ask_machine delete readonly
}

begin_writing() {
  (while dd if=/dev/zero of="$1/log" bs=4096 count=16 oflag=append conv=notrunc,fsync 2>/dev/null; do sleep 0.1; done; touch /run/writer-ended) &
}
writer_ended() {
  local tenths
  for ((tenths = 0; tenths < 900; tenths++)); do
    [[ ! -e /run/writer-ended ]] || return 0
    sleep 0.1
  done
  cat /sys/class/nvme/*/state
  return 1
}

# Taken away while it is mounted and written: the writer gets an error, nothing hangs, and what was durable is there afterwards.
fenced() {
  local target=/var/lib/kubelet/pods/fenced/mount
  check "fenced: a volume is made and attached" ask_machine create fenced ext4 64 || return
  check "fenced: stage" ask_machine stage fenced ext4 || return
  check "fenced: publish" ask_machine publish fenced ext4 "$target"
  check "fenced: a file is written" write_file "$target"
  begin_writing "$target"
  sleep 1
  check "fenced: detached while it is written" ask_machine detach fenced
  check "fenced: the writer gets an error" writer_ended
  check "fenced: unpublish twice" twice unpublish fenced "$target"
  check "fenced: unstage twice" twice unstage fenced
  check "fenced: nothing is connected" nothing_connected
  check "fenced: attached again" ask_machine attach fenced ext4
  check "fenced: stage" ask_machine stage fenced ext4
  check "fenced: publish" ask_machine publish fenced ext4 "$target"
  check "fenced: the file is the same" same_file "$target"
  check "fenced: unpublish" ask_machine unpublish fenced "$target"
  check "fenced: unstage" ask_machine unstage fenced
  check "fenced: detach" ask_machine detach fenced
  check "fenced: delete" ask_machine delete fenced
}

sanity() {
  local kind=$1
  mkdir -p /tmp/sanity
  check "csi-sanity, $kind" "/guest/bin/$SANITY" --csi.endpoint="unix:$socket" --csi.controllerendpoint="dns:///$CONTROLLER" \
    --csi.testvolumeaccesstype="$kind" --csi.mountdir=/tmp/sanity/mount --csi.stagingdir=/tmp/sanity/staging \
    --csi.testvolumesize=134217728 --csi.testvolumeexpandsize=268435456 --ginkgo.no-color
  grep -E '^Ran |Passed|\[FAIL\]' /tmp/check.out
}


check "the plugin starts" start_plugin || exit 1
check "the plugin answers" ask_machine probe || exit 1
! wanted ext4 || life ext4 64
! wanted xfs || life xfs 320
! wanted btrfs || life btrfs 160
! wanted block || raw_block
! wanted lost || lost_server
! wanted copy || copy xfs 320 400
! wanted copy-btrfs || copy btrfs 160 320
! wanted readonly || read_only
! wanted fenced || fenced
if [[ -n ${SANITY:-} ]]; then
  sanity mount
  sanity block
fi
echo "$failures failures"
exit $((failures > 0))
