#!/bin/bash
# Installs what the tests need (Debian packages, asking the network only when one is missing), builds, and runs all tests.
# More of what is random: KEELSON_SEEDS=10 (ten times the seeds), KEELSON_KILLS=100 (kills of a node); a failing seed says how to run it alone.
# The last line is the test runner's summary; the exit status is its own.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/library.sh"
cd "$here/.."

need_swift
# For the build; for the state store of a cluster; for the Linux host in QEMU.
install_missing liburing-dev libaio-dev libsqlite3-dev libnghttp2-dev libssl-dev pkg-config python3
install_missing etcd-server openssl curl
install_missing qemu-system-x86 busybox-static nvme-cli fio e2fsprogs xfsprogs btrfs-progs util-linux kmod cpio xz-utils

echo "Building the release binary"
swift build -c release --product keelson
echo "Simulating"
swift build -c release --product keelson-sim
# Lives drawn from seeds (any that fails is repeated by keelson-sim --seed N --trace), and beside them a crash at every event of short ones.
simulator=$(swift build -c release --show-bin-path)/keelson-sim
"$simulator" --sweep & sweep=$!
"$simulator" --seeds 2500 --seconds 120 --minimum 2000
wait "$sweep"
echo "Building the tests"
swift build --build-tests
# Downloaded and packed now, so that no test's time depends on the network.
deploy/grpcio.sh >/dev/null
echo "Preparing the Linux host"
deploy/linux-host/image.sh >/dev/null
# The tests that run the binary take the one just built.
KEELSON_BINARY=$(swift build -c release --show-bin-path)/keelson
export KEELSON_BINARY
# Eight at a time: Swift Testing would start all of them at once, and each step of one that waits would queue behind all others.
# (`swift test` has no option for that, so the runner is called here.) What failed is said once more at the end, where it is not lost.
runner=$(swift build --show-bin-path)/keelsonPackageTests.xctest
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
NO_COLOR=1 TERM=dumb timeout --foreground 2700 "$runner" --testing-library swift-testing --experimental-maximum-parallelization-width 8 2>&1 | tee "$log" || status=$?
if [ "$status" -ne 0 ]; then
  echo "The tests ended with status $status. What failed:"
  grep -a -E 'recorded an issue|^. (Test|Suite) .* failed after|Fatal error|signal' "$log" | tail -n 60 | cut -c 1-600 || true
  grep -a 'Test run with' "$log" | tail -n 1 || true
fi
exit "$status"
