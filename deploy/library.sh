# Shared by the scripts in this folder; source it after `set -euo pipefail`.

# Says what went wrong on standard error and ends the script.
fail() {
  echo "${0##*/}: $*" >&2
  exit 1
}

# install_missing PACKAGE... : installs the Debian packages that are not installed yet; asks the network only when one is missing.
install_missing() {
  local package missing=()
  for package; do
    [[ $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null) == "install ok installed" ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  [[ $(id -u) == 0 ]] || fail "these Debian packages are missing and only root can install them: ${missing[*]}"
  echo "Installing ${missing[*]}"
  apt-get -qq update || fail "apt-get update failed; the packages ${missing[*]} could not be looked up"
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null ||
    fail "apt-get could not install ${missing[*]}"
}

# Ends the script unless a Swift toolchain of at least 6.2 is on the PATH.
need_swift() {
  local version
  command -v swift >/dev/null ||
    fail "no Swift toolchain on the PATH; Keelson needs 6.2 or newer (https://www.swift.org/install/linux/)"
  version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p' | head -n 1)
  [[ -n $version ]] || fail "$(command -v swift) does not say its version; Keelson needs Swift 6.2 or newer"
  [[ $(printf '%s\n' 6.2 "$version" | sort -V | head -n 1) == 6.2 ]] ||
    fail "Swift $version is too old: Keelson needs 6.2 or newer (https://www.swift.org/install/linux/)"
}

# json EXPRESSION <DOCUMENT : prints a Python expression over the JSON document `d`.
json() {
  python3 -c 'import json, sys; d = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"
}
