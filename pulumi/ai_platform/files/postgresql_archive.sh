#!/bin/bash
# Recovery to a point in time: the log is received as it is written, a whole copy is made every week, and what is older
# than what may be recovered to goes. WHAT is `log` or `copies`. ARCHIVE holds log/ and copies/YYYYmmddTHHMMSS/.
set -euo pipefail

say() { echo "bedplate: $*" >&2; }
# Whole copies are as many as reach back DAYS, and one more, so that there is always one to begin with.
expire() {
  local oldest copies
  mapfile -t copies < <(find "$ARCHIVE/copies" -mindepth 1 -maxdepth 1 -type d -name '2*' | sort)
  while [ "${#copies[@]}" -gt 1 ] && [ -n "$(find "${copies[1]}" -maxdepth 0 -mtime "+$DAYS")" ]; do
    say "copy ${copies[0]##*/} is older than $DAYS days"
    rm -rf "${copies[0]}"
    copies=("${copies[@]:1}")
  done
  oldest=$(sed -n 's/^START WAL LOCATION: .*file \([0-9A-F]*\).*/\1/p' "${copies[0]}/backup_label")
  pg_archivecleanup "$ARCHIVE/log" "$oldest"
}
whole() {
  local now
  now=$(date -u +%Y%m%dT%H%M%S)
  rm -rf "$ARCHIVE"/copies/.partial
  pg_basebackup -D "$ARCHIVE/copies/.partial" -X none -c fast
  pg_verifybackup --no-parse-wal "$ARCHIVE/copies/.partial"
  mv "$ARCHIVE/copies/.partial" "$ARCHIVE/copies/$now"
  say "copy $now is whole"
}

# A host that is lost says no more; without these the kernel goes on believing in it for a quarter of an hour.
lost="tcp_user_timeout=30000 keepalives_idle=30 keepalives_interval=10 keepalives_count=3"
mkdir -p "$ARCHIVE/log" "$ARCHIVE/copies"
case $WHAT in
log)
  while :; do
    # A primary without our slot kept no log for us: what comes now needs a whole copy to begin with.
    slots="SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'archive'"
    there=$(psql -X -A -t -d postgres -c "$slots" || true)
    if [ "$there" = 0 ]; then pg_receivewal --slot=archive --create-slot && touch "$ARCHIVE/begin"; fi
    pg_receivewal -d "$lost" -D "$ARCHIVE/log" --slot=archive --synchronous --no-loop ||
      say "no log comes; trying again"
    sleep "${PAUSE:-5}"
  done
  ;;
copies)
  while :; do
    if [ -e "$ARCHIVE/begin" ] || [ -z "$(find "$ARCHIVE/copies" -mindepth 1 -maxdepth 1 -name '2*' -mtime -7)" ]; then
      rm -f "$ARCHIVE/begin"
      if ! whole; then
        touch "$ARCHIVE/begin"
        say "no copy was made; trying again"
        sleep "${PAUSE:-60}"
        continue
      fi
    fi
    expire
    [ "${ONCE:-}" ] && exit 0
    sleep 3600
  done
  ;;
esac
