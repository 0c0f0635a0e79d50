#!/bin/bash
# Certificates for etcd: an authority made for this alone, one certificate for the members among themselves and before their clients, one for
# the clients. Nothing but openssl is needed, and nobody can sign any more with the authority: its key is thrown away.
#
#   etcd-certificates.sh DIR MEMBER...              into a new folder: ca.crt, server.crt, server.key, client.crt, client.key; a MEMBER is a
#                                                   DNS name or an IP address under which a member is reached
#   etcd-certificates.sh --secret NAME MEMBER...    into a Secret of that name, in the namespace of the pod that this runs in, unless it is there
set -euo pipefail
umask 077
days=${CERTIFICATE_DAYS:-3650}
# What members call each other: etcd's --peer-cert-allowed-cn, so that a client is no member.
member_name=keelson-etcd
client_name=keelson-client

fail() {
  echo "${0##*/}: $*" >&2
  exit 1
}

# sign DIR FILE COMMON-NAME EXTENSIONS : a key and a certificate for it, by the authority.
sign() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1/$2.key" -subj "/CN=$3" -out "$1/$2.csr" 2>/dev/null
  openssl x509 -req -in "$1/$2.csr" -CA "$1/ca.crt" -CAkey "$1/ca.key" -set_serial "0x$(openssl rand -hex 16)" -days "$days" \
    -extfile <(printf '%s\n' "basicConstraints=critical,CA:FALSE" "keyUsage=critical,digitalSignature" "${@:4}") -out "$1/$2.crt" 2>/dev/null
  rm "$1/$2.csr"
}

# make DIR MEMBER... : all files in a folder that is there.
make() {
  local directory=$1 names="DNS:localhost,IP:127.0.0.1,IP:::1" member
  shift
  for member; do
    [[ $member =~ ^[A-Za-z0-9.:-]+$ ]] || fail "'$member' is no DNS name and no IP address"
    if [[ $member == *:* || $member =~ ^[0-9.]+$ ]]; then names+=",IP:$member"; else names+=",DNS:$member"; fi
  done
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$directory/ca.key" -subj "/CN=keelson-etcd-ca" \
    -days "$days" -addext "keyUsage=critical,keyCertSign,cRLSign" -out "$directory/ca.crt" 2>/dev/null
  sign "$directory" server $member_name "extendedKeyUsage=serverAuth,clientAuth" "subjectAltName=$names"
  sign "$directory" client $client_name "extendedKeyUsage=clientAuth"
  rm "$directory/ca.key"
}

# ask METHOD PATH [BODY] : of the API server, as the pod's account; prints the status, the answer is in $work/answer.
ask() {
  local account=${KUBERNETES_ACCOUNT:-/var/run/secrets/kubernetes.io/serviceaccount} host=$KUBERNETES_SERVICE_HOST
  [[ $host != *:* ]] || host="[$host]"
  printf 'Authorization: Bearer %s\n' "$(cat "$account/token")" >"$work/header"
  curl --silent --show-error --max-time 30 --cacert "$account/ca.crt" --header "@$work/header" --header "Content-Type: application/json" \
    --request "$1" ${3:+--data-binary "@$3"} --output "$work/answer" --write-out '%{http_code}' \
    "https://$host:${KUBERNETES_SERVICE_PORT:-443}/api/v1/namespaces/$(cat "$account/namespace")$2"
}

case ${1:-} in
  --secret)
    (($# >= 3)) || fail "name the secret and the members"
    secret=$2
    [[ -n ${KUBERNETES_SERVICE_HOST:-} ]] || fail "there is no API server here: KUBERNETES_SERVICE_HOST is not set"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir "$work/made"
    status=$(ask GET "/secrets/$secret")
    if [[ $status == 404 ]]; then
      make "$work/made" "${@:3}"
      {
        printf '{"apiVersion":"v1","kind":"Secret","type":"Opaque","metadata":{"name":"%s"},"data":{' "$secret"
        separator=
        for file in ca.crt server.crt server.key client.crt client.key; do
          printf '%s"%s":"%s"' "$separator" "$file" "$(base64 --wrap=0 "$work/made/$file")"
          separator=,
        done
        printf '}}'
      } >"$work/body"
      # All in one object: there is never half of it, and of two that make it one is refused.
      status=$(ask POST /secrets "$work/body")
      [[ $status != 201 ]] || echo "the secret $secret is made"
    fi
    case $status in
      200 | 409) echo "the secret $secret is there" ;;
      201) ;;
      *) fail "the API server answered $status: $(head -c 500 "$work/answer")" ;;
    esac
    ;;
  "" | -*) fail "name a folder and the members, or --secret NAME and the members" ;;
  *)
    (($# >= 2)) || fail "name the members: what etcd is reached by"
    mkdir -p "$1"
    [[ -z $(ls -A "$1") ]] || fail "there is something in $1 already"
    make "$@"
    ;;
esac
