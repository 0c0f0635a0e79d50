#!/bin/bash
# Builds what the Linux host boots from and prints three paths: the kernel, the userland archive and the kernel's module archive.
#
# Everything is kept in ${XDG_CACHE_HOME:-~/.cache}/keelson-linux-host under names made from its content, so that a second
# run costs well under a second. The kernel is the one that Debian's package linux-image-amd64 depends on: downloaded and
# unpacked, never installed. The archives are uncompressed, since unpacking compressed ones is what an emulated processor
# is slowest at.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../library.sh"

cache=${XDG_CACHE_HOME:-$HOME/.cache}/keelson-linux-host
# busybox supplies everything else; these are the programs whose real selves matter.
programs=(
  /bin/bash /usr/sbin/nvme /usr/bin/fio /sbin/mke2fs /sbin/e2fsck /sbin/resize2fs /sbin/blkdiscard /bin/kmod
  /sbin/mkfs.xfs /usr/sbin/xfs_admin /usr/sbin/xfs_db /usr/sbin/xfs_growfs /usr/sbin/xfs_io /sbin/mkfs.btrfs /bin/btrfs /bin/btrfstune
)
modules=(
  virtio_pci virtio_net virtio_blk virtio_console virtio_rng
  nvme_core nvme_fabrics nvme_tcp nvmet nvmet_tcp null_blk
  ext4 xfs btrfs crc32c_generic crc32c_intel crc32_pclmul crct10dif_pclmul
)

# Packs the folder $1 into the archive $2, whole or not at all.
pack() {
  (cd "$1" && find . -mindepth 1 | LC_ALL=C sort | cpio --quiet --create --format=newc --owner=0:0) >"$2.partial"
  mv "$2.partial" "$2"
}

# Prints the shared libraries and the loader that the program $1 needs.
libraries_of() {
  local listing
  listing=$(ldd "$1" 2>/dev/null) || return 0
  [[ $listing != *"not found"* ]] || fail "$1 lacks libraries: $(grep 'not found' <<<"$listing")"
  sed -nE 's/.* => (\/[^ ]+) .*/\1/p; s/^[[:space:]]*(\/[^ ]+) .*/\1/p' <<<"$listing"
}

# Prints the kernel package's name and version, as apt knows them.
newest_kernel() {
  local name version
  name=$(apt-cache depends linux-image-amd64 2>/dev/null | sed -nE 's/^ *Depends: (linux-image-[^ ]+)$/\1/p' | head -n 1)
  [[ -n $name ]] || return 1
  version=$(apt-cache show --no-all-versions "$name" 2>/dev/null | sed -n 's/^Version: //p' | head -n 1)
  [[ -n $version ]] && echo "$name $version"
}

# Prints the path of the program $1 with the folders that Debian merged into /usr resolved.
merged() {
  case $1 in
    /bin/* | /sbin/* | /lib/* | /lib64/*) echo "/usr$1" ;;
    *) echo "$1" ;;
  esac
}

build_userland() {
  local root=$work/userland file name
  mkdir -p "$root"/usr/{bin,sbin,lib,lib64} "$root"/{dev,proc,sys,run,tmp,mnt,etc/nvme,var}
  for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
  ln -s ../run "$root/var/run"
  for file in "${files[@]}"; do install -D "$file" "$root$(merged "$file")"; done
  for name in $(/bin/busybox --list); do
    [[ -e $root/usr/bin/$name || -e $root/usr/sbin/$name ]] || ln -s busybox "$root/usr/bin/$name"
  done
  for name in modprobe lsmod rmmod; do ln -sf ../bin/kmod "$root/usr/sbin/$name" && rm -f "$root/usr/bin/$name"; done
  ln -s mke2fs "$root/usr/sbin/mkfs.ext4" && rm -f "$root/usr/bin/mke2fs"
  cp /etc/mke2fs.conf "$root/etc/"
  echo 'root:x:0:0:root:/:/bin/sh' >"$root/etc/passwd"
  echo 'root:x:0:' >"$root/etc/group"
  ln -s /proc/mounts "$root/etc/mtab"
  # One identity for every run: a host that comes back is the same host.
  echo 'nqn.2014-08.org.nvmexpress:uuid:6b65656c-736f-4e00-8000-000000000001' >"$root/etc/nvme/hostnqn"
  echo '6b65656c-736f-4e00-8000-000000000001' >"$root/etc/nvme/hostid"
  install -m 755 "$here/guest-init.sh" "$root/init"
  install -D -m 644 "$here/guest-library.sh" "$root/guest/library.sh"
  pack "$root" "$userland"
}

build_kernel() {
  local name=$1 package=$work/package tree=$work/kernel root=$work/modules release wanted file
  echo "Downloading $name (once)" >&2
  mkdir -p "$package" "$tree"
  (
    cd "$package"
    apt-get -qq -o APT::Sandbox::User=root download "$name" >&2 ||
      { apt-get -qq update >&2 && apt-get -qq -o APT::Sandbox::User=root download "$name" >&2; }
  ) || fail "apt-get could not download $name"
  dpkg-deb -x "$package"/*.deb "$tree"
  # Old packages have lib/modules, new ones usr/lib/modules; depmod wants the former.
  [[ -e $tree/lib ]] || ln -s usr/lib "$tree/lib"
  release=$(basename "$tree"/lib/modules/*)
  depmod -b "$tree" "$release"
  wanted=$(printf '%s\n' "${modules[@]}")
  # modules.dep names, for each module, everything that it needs, however deep.
  awk -v wanted="$wanted" '
    BEGIN { count = split(wanted, list, "\n"); for (i = 1; i <= count; i++) want[list[i]] = 1 }
    {
      sub(/:$/, "", $1); name = $1
      sub(/.*\//, "", name); sub(/\.ko.*/, "", name); gsub(/-/, "_", name)
      if (name in want) for (i = 1; i <= NF; i++) print $i
    }' "$tree/lib/modules/$release/modules.dep" | sort -u >"$work/list"
  grep -q 'nvme-tcp' "$work/list" || fail "$name has no module nvme-tcp"
  while read -r file; do
    install -D -m 644 "$tree/lib/modules/$release/$file" "$root/usr/lib/modules/$release/$file"
    case $file in *.xz) xz -d "$root/usr/lib/modules/$release/$file" ;; esac
  done <"$work/list"
  cp "$tree/lib/modules/$release"/modules.{builtin,builtin.modinfo,order} "$root/usr/lib/modules/$release/"
  ln -s usr/lib "$root/lib" && depmod -b "$root" "$release" && rm "$root/lib"
  mkdir -p "$kernel.partial"
  cp "$tree"/boot/vmlinuz-* "$kernel.partial/vmlinuz"
  pack "$root" "$kernel.partial/modules.cpio"
  mv "$kernel.partial" "$kernel"
}

[[ $(uname -m) == x86_64 ]] || fail "the Linux host is an x86-64 machine; this one is $(uname -m)"
for program in "${programs[@]}" /bin/busybox cpio depmod; do
  command -v "$program" >/dev/null || fail "$program is missing; deploy/test.sh installs what the tests need"
done
mkdir -p "$cache"
exec 9>"$cache/lock"
flock -w 600 9 || fail "another run has held $cache/lock for ten minutes"
work=$(mktemp -d "$cache/work.XXXXXX")
trap 'rm -rf "$work"' EXIT

mapfile -t files < <(
  {
    printf '%s\n' /bin/busybox "${programs[@]}"
    for program in "${programs[@]}"; do libraries_of "$program"; done
  } | sort -u
)
key=$(sha256sum "${files[@]}" "$here/image.sh" "$here/guest-init.sh" "$here/guest-library.sh" | sha256sum | cut -c 1-16)
userland=$cache/userland-$key.cpio
if [[ ! -e $userland ]]; then
  rm -f "$cache"/userland-*
  build_userland
fi

selection=$(printf '%s\n' "${modules[@]}" | sha256sum | cut -c 1-8)
if ! name_and_version=$(newest_kernel); then
  apt-get -qq update >&2 || true
  name_and_version=$(newest_kernel) || name_and_version=
fi
if [[ -n $name_and_version ]]; then
  read -r kernel_package kernel_version <<<"$name_and_version"
  kernel=$cache/kernel-$kernel_version-$selection
  if [[ ! -e $kernel ]]; then
    rm -rf "$cache"/kernel-*
    build_kernel "$kernel_package"
  fi
else
  # No package index within reach: a kernel from an earlier run serves as well.
  kernel=$(ls -d "$cache"/kernel-*-"$selection" 2>/dev/null | tail -n 1)
  [[ -n $kernel ]] || fail "apt knows no package linux-image-amd64; is Debian's main archive among its sources?"
fi
echo "$kernel/vmlinuz $userland $kernel/modules.cpio"
