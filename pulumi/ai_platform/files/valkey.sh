#!/bin/sh
# One Valkey of several: PRIMARY is the ordinal of the one that is written to, PEERS all of them (HOST:PORT, in the
# order of their ordinals); the others copy it. A primary whose volume is empty does not begin while a copy has data:
# the copy would follow it into nothing.
set -eu

me=${POD_NAME##*-}
nth() { echo "$PEERS" | cut -d' ' -f$(($1 + 1)); }
size_of() { # HOST:PORT: number of keys, nothing where nobody answers
  REDISCLI_AUTH=$REPLICATION_PASSWORD timeout 3 valkey-cli -h "${1%:*}" -p "${1##*:}" --user replication info keyspace \
    2>/dev/null | grep -c '^db' || true
}
login=
if [ "$me" != "$PRIMARY" ]; then
  primary=$(nth "$PRIMARY")
  set -- "$@" --replicaof "${primary%:*}" "${primary##*:}" --masteruser replication
  login="masterauth $REPLICATION_PASSWORD"
elif [ ! -e "$DATA/appendonlydir" ]; then
  command -v valkey-cli >/dev/null || { echo "bedplate: without valkey-cli nobody can be asked" >&2; exit 1; }
  ordinal=0
  for peer in $PEERS; do
    if [ "$ordinal" != "$me" ] && [ "$(size_of "$peer")" -gt 0 ]; then
      echo "bedplate: this volume is empty but pod $ordinal has data: make pod $ordinal the primary" >&2
      exit 1
    fi
    ordinal=$((ordinal + 1))
  done
fi
# By standard input, because a server's command line is read by whoever sees processes of its host.
unset REPLICATION_PASSWORD
exec valkey-server - "$@" <<CONFIG
$login
CONFIG
