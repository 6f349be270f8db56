#!/bin/bash
# One PostgreSQL of several. PEERS are all of them (HOST:PORT, in the order of their ordinals), PRIMARY is the ordinal
# of the one that is written to; the others copy it and follow. What a pod does follows from that and from what is on
# its volume, so that the same start serves the first time, a crash, a lost volume and a change of the primary.
set -euo pipefail

me=${POD_NAME##*-}
read -r -a peers <<<"$PEERS"
say() { echo "bedplate: $*" >&2; }
ask() { # ORDINAL USER SQL
  local host=${peers[$1]%:*} port=${peers[$1]##*:} password=$REPLICATION_PASSWORD
  [ "$2" = replication ] || password=$ADMIN_PASSWORD
  PGPASSWORD=$password PGSSLMODE=verify-full PGSSLROOTCERT=$CERTIFICATE PGCONNECT_TIMEOUT=3 \
    psql -X -A -t -q -v ON_ERROR_STOP=1 -h "$host" -p "$port" -U "$2" -d postgres -c "$3"
}
login() { # a file that says it, because a server's command line is read by whoever sees processes of its host
  local password=${REPLICATION_PASSWORD//\\/\\\\}
  (umask 077 && printf '*:*:*:replication:%s\n' "${password//:/\\:}" >"$SOCKETS/login")
}
source_of() { # connection to the primary, as PostgreSQL's programs take it
  local host=${peers[$PRIMARY]%:*} port=${peers[$PRIMARY]##*:}
  echo "host=$host port=$port user=replication passfile=$SOCKETS/login application_name=standby_$me" \
    "sslmode=verify-full sslrootcert=$CERTIFICATE"
}
primary_answers() { [ "$(ask "$PRIMARY" replication 'SELECT NOT pg_is_in_recovery()' 2>/dev/null)" = t ]; }

make() { # a new cluster, whole or not at all
  for other in "${!peers[@]}"; do
    if [ "$other" != "$me" ] && ask "$other" postgres 'SELECT 1' >/dev/null 2>&1; then
      say "this volume is empty but pod $other has data: refusing to begin anew; make pod $other the primary"
      exit 1
    fi
  done
  rm -rf "$PGDATA.partial"
  initdb -D "$PGDATA.partial" -U postgres --pwfile=<(printf '%s' "$ADMIN_PASSWORD") --data-checksums \
    --auth-local=peer --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 >&2
  mv "$PGDATA.partial" "$PGDATA"
}
copy() {
  until primary_answers; do say "waiting for the primary, pod $PRIMARY"; sleep 2; done
  rm -rf "$PGDATA.partial"
  pg_basebackup -d "$(source_of)" -D "$PGDATA.partial" -R -X stream -c fast >&2
  mv "$PGDATA.partial" "$PGDATA"
}
rejoin() { # it was the primary: what it has and the new one has not is given up, and said
  until primary_answers; do say "waiting for the primary, pod $PRIMARY"; sleep 2; done
  say "was the primary; going back to where pod $PRIMARY went on without it"
  # Until its first checkpoint the new primary does not say that it went another way, and nothing would be given up.
  ask "$PRIMARY" postgres CHECKPOINT
  # After a crash pg_rewind recovers first, with the settings of this file only, and would let go of the log it needs.
  echo "wal_keep_size = 1GB" >>"$PGDATA/postgresql.conf"
  if ! pg_rewind -D "$PGDATA" --source-server="$(source_of) dbname=postgres" -R >&2; then
    say "its volume cannot follow pod $PRIMARY any more: move it away and let the pod copy anew"
    exit 1
  fi
  touch "$PGDATA/standby.signal" # not written where there was nothing to give up; without it, it would be a primary
}
take_over() { # runs beside the server. A primary that still answers takes no more writes and is waited for.
  until psql -X -q -h "$SOCKETS" -p "$PGPORT" -U postgres -d postgres -c 'SELECT 1' >/dev/null 2>&1; do sleep 1; done
  local last=
  for other in "${!peers[@]}"; do
    [ "$other" != "$me" ] || continue
    [ "$(ask "$other" postgres 'SELECT NOT pg_is_in_recovery()' 2>/dev/null)" = t ] || continue
    say "pod $other is still the primary: it takes no more writes"
    ask "$other" postgres 'ALTER SYSTEM SET default_transaction_read_only = on' || true
    ask "$other" postgres "SELECT pg_reload_conf(), pg_sleep(1)" >/dev/null || true
    ask "$other" postgres "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
      WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()" >/dev/null || true
    last=$(ask "$other" postgres 'SELECT pg_current_wal_lsn()' || true)
  done
  local behind="SELECT pg_is_in_recovery() AND pg_last_wal_replay_lsn() < '${last:-0/0}'"
  for _ in $(seq 60); do
    [ "$(psql -X -A -t -h "$SOCKETS" -p "$PGPORT" -U postgres -d postgres -c "$behind")" = t ] || break
    sleep 1
  done
  psql -X -q -h "$SOCKETS" -p "$PGPORT" -U postgres -d postgres -c 'SELECT pg_promote()' -c CHECKPOINT >/dev/null
  say "pod $me is the primary now"
}

login
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  if [ "$me" = "$PRIMARY" ]; then make; else copy; fi
elif [ "$me" != "$PRIMARY" ] && [ ! -e "$PGDATA/standby.signal" ]; then
  rejoin
fi
if [ "$me" = "$PRIMARY" ] && [ -e "$PGDATA/standby.signal" ]; then take_over & fi
settings=()
if [ "$me" != "$PRIMARY" ]; then settings=(-c "primary_conninfo=$(source_of)"); fi
unset ADMIN_PASSWORD REPLICATION_PASSWORD # whoever runs beside users' queries has no need of them
exec postgres -D "$PGDATA" -k "$SOCKETS" -p "$PGPORT" "$@" "${settings[@]}"
