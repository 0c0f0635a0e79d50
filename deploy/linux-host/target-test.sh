#!/bin/bash
# Uses a target nobody here wrote, the Linux kernel's own, with `keelson bench`: every block read back must be the one last
# written, with and without digests, in small and in large transfers.
#
#   target-test.sh            runs the whole test; KEELSON_BINARY names the binary (default: the release build)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../library.sh"

if [[ ${1:-} == use ]]; then
  for arguments in "--bs 4k --iodepth 32" "--bs 4k --iodepth 32 --digests" "--bs 128k --iodepth 8 --digests" "--bs 1m --iodepth 4"; do
    # shellcheck disable=SC2086 # the arguments are words
    "$KEELSON_BINARY" bench "nvme-tcp://127.0.0.1:$PORT/$NQN" --rw randrw --runtime 2 --verify --force $arguments \
      --output json >"$WORK/report" 2>&1 || { cat "$WORK/report" >&2 && exit 1; }
    json '"%s: %d blocks, %d errors" % ("'"$arguments"'", d["verify"]["blocks"], d["verify"]["errors"])' <"$WORK/report" |
      tee -a "$WORK/log"
    json 'exit(0 if d["verify"]["blocks"] > 0 and d["verify"]["errors"] == 0 else 1)' <"$WORK/report"
  done
  exit 0
fi

: "${KEELSON_BINARY:=$here/../../.build/release/keelson}"
[[ -x $KEELSON_BINARY ]] || fail "$KEELSON_BINARY is missing; build it with: swift build -c release --product keelson"
WORK=$(mktemp -d "${TMPDIR:-/tmp}/keelson-target.XXXXXX")
trap 'rm -rf "$WORK"' EXIT
PORT=$(first_free_port 1)
NQN=nqn.2014-08.org.example:kernel
export KEELSON_BINARY WORK PORT NQN
for block_bytes in 512 4096; do
  echo "The kernel's target with blocks of $block_bytes bytes"
  "$here/run.sh" --timeout 180 --handler "$here/target-test.sh" --forward "$PORT:4420" --set "NQN=$NQN" \
    --set "BLOCK_BYTES=$block_bytes" "$here/target-guest.sh" || { cat "$WORK/log" 2>/dev/null && exit 1; }
done
cat "$WORK/log"
