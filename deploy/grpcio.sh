#!/bin/bash
# Prepares gRPC's own Python client (grpcio, with the health service's stubs) for the tests, in a virtual environment under .build that
# is made once, and prints the path of its Python.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/library.sh"
directory=$here/../.build/grpcio

mkdir -p "$here/../.build"
exec 9>"$directory.lock"
flock -w 300 9 || fail "another process prepares $directory and does not end"
if ! "$directory/bin/python" -c 'import grpc, grpc_health.v1.health_pb2' 2>/dev/null; then
  python3 -c 'import ensurepip, venv' 2>/dev/null || install_missing python3-venv >&2
  python3 -m venv --clear "$directory" >&2
  "$directory/bin/python" -m pip install --quiet --disable-pip-version-check grpcio grpcio-health-checking >&2 ||
    fail "pip could not install grpcio and grpcio-health-checking"
fi
echo "$directory/bin/python"
