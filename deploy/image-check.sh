#!/bin/bash
# Whether the image of the Dockerfile holds what the binary needs: every library that it loads, and every program that it starts.
#
#   image-check.sh [BINARY]     looks at this machine's packages, which must be Debian's; BINARY, else KEELSON_BINARY, else the release build
#   ROOT=DIR image-check.sh     also makes the runtime stage in DIR, with debootstrap (network, root, 500 MB), and runs the binary in it; for
#                               that it must have been linked with --static-swift-stdlib
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/library.sh"
binary=${1:-${KEELSON_BINARY:-$here/../.build/release/keelson}}
[[ -x $binary ]] || fail "there is no binary $binary"
# What the project's code and its scripts in the image start (Sources/CSI/Node/FilesystemKind.swift, deploy/kubernetes, etcd-certificates.sh).
programs=(mkfs.ext4 e2fsck resize2fs mkfs.xfs xfs_growfs xfs_admin mkfs.btrfs btrfs btrfstune modprobe openssl curl bash base64)

# The packages of the stage that the image is made of.
packages=$(sed -n '/^FROM debian:/,$p' "$here/Dockerfile" | sed -e ':join' -e '/\\$/N' -e 's/\\\n//' -e 'tjoin' |
  sed -n 's/.*apt-get install -y --no-install-recommends \([^&]*\)&&.*/\1/p')
[[ -n $packages ]] || fail "the Dockerfile's last stage installs nothing that could be found"
# What Debian's smallest image has by itself: the essential packages, and apt; and all that these need.
base="apt debian-archive-keyring $(dpkg-query -W -f='${Package} ${Essential}\n' | sed -n 's/ yes$//p' | tr '\n' ' ')"
# shellcheck disable=SC2086
closure=$(apt-cache depends --recurse --installed --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
  $packages $base | sed -n 's/^\([a-z0-9][^ ]*\)$/\1/p; s/^ *|\{0,1\}\(Pre\)\{0,1\}Depends: \([a-z0-9][^ ]*\)$/\2/p' | sed 's/:.*//' | sort -u)

# holds FILE WHAT : whether a package of the image has the file.
problems=0
holds() {
  local owner real
  real=$(realpath "$1")
  # A merged /usr: packages may name the file without it.
  owner=$({ dpkg -S "$real" || dpkg -S "${real#/usr}" || dpkg -S "$1"; } 2>/dev/null | head -n 1 | cut -d: -f1) || true
  if [[ -z $owner ]]; then
    echo "$2: no package has $real" >&2
    problems=$((problems + 1))
  elif ! grep -qx "$owner" <<<"$closure"; then
    echo "$2: $real is of $owner, which the image does not install" >&2
    problems=$((problems + 1))
  fi
}

toolchain=$(dirname "$(dirname "$(realpath "$(command -v swift || echo /nowhere/bin/swift)")")")
is_static=true
while read -r name _ path _; do
  case $name in linux-vdso.*) continue ;; esac
  # The dynamic loader is told by its path alone.
  [[ $path == /* ]] || path=$name
  [[ $path == /* ]] || { echo "$name is not found" >&2; problems=$((problems + 1)); continue; }
  # The build in the Dockerfile links Swift's own libraries into the binary.
  if [[ $(realpath "$path") == "$toolchain"/* || $path == */swift/linux/* ]]; then is_static=false; continue; fi
  holds "$path" "the binary needs $name"
done < <(ldd "$binary")
for program in "${programs[@]}"; do
  path=$(command -v "$program" || ls /sbin/"$program" /usr/sbin/"$program" 2>/dev/null | head -n 1 || true)
  [[ -n $path ]] || { echo "$program is not installed here, so its package is not known" >&2; problems=$((problems + 1)); continue; }
  holds "$path" "a program that is started"
done
((problems == 0)) || fail "$problems file(s) would be missing in the image"
echo "the image's packages have all libraries and programs"

[[ -n ${ROOT:-} ]] || exit 0
$is_static || fail "$binary loads Swift's libraries: build it with --static-swift-stdlib to run it in the image"
[[ ! -e $ROOT ]] || fail "$ROOT is there already"
install_missing debootstrap
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
debootstrap --variant=minbase "$suite" "$ROOT" "${MIRROR:-http://deb.debian.org/debian}" >/dev/null || fail "debootstrap made no $ROOT"
# The stage's own commands.
# shellcheck disable=SC2086
chroot "$ROOT" env DEBIAN_FRONTEND=noninteractive sh -c "apt-get update -q && apt-get install -y -q --no-install-recommends $packages" >/dev/null
install -D "$binary" "$ROOT/usr/bin/keelson"
install -D "$here/etcd-certificates.sh" "$ROOT/usr/share/keelson/etcd-certificates.sh"
# In the image, with /proc as in any container: [--userspec=USER] COMMAND...
in_image() {
  local user=()
  [[ $1 != --userspec=* ]] || { user=("$1") && shift; }
  # shellcheck disable=SC2016
  unshare --mount sh -c 'mount -t proc proc "$ROOT/proc" && exec chroot "$@"' - "${user[@]}" "$ROOT" "$@"
}
export ROOT
in_image /usr/bin/keelson version
for program in "${programs[@]}"; do
  in_image sh -c "command -v $program" >/dev/null || fail "the image has no $program"
done
# As the pods run: not root, without anything but a scratch folder to write to.
in_image --userspec=65532:65532 /usr/share/keelson/etcd-certificates.sh /tmp/certificates keelson-etcd-0.example
in_image openssl verify -CAfile /tmp/certificates/ca.crt /tmp/certificates/server.crt /tmp/certificates/client.crt
in_image sh -c "truncate -s 400M /tmp/disk && for kind in ext4 xfs btrfs; do mkfs.\$kind -q \$([ \$kind = ext4 ] && echo -F || echo -f) /tmp/disk; done && rm /tmp/disk"
du -sh --exclude=proc "$ROOT"
echo "the image in $ROOT runs"
