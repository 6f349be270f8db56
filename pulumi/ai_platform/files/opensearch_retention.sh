#!/bin/bash
# Puts every policy and template beside this script to the store at $1. A policy that is there already is put over its
# own number, without which the store refuses it.
set -euo pipefail
for file in /etc/retention/*__*; do
  name=${file##*/}
  path=${name//__//}
  number=$(curl -fsS "$1/$path" 2>/dev/null | sed -n 's/.*"_seq_no":\([0-9]*\),"_primary_term":\([0-9]*\).*/?if_seq_no=\1\&if_primary_term=\2/p' || true)
  curl -fsS -X PUT -H 'Content-Type: application/json' --data-binary "@$file" "$1/$path$number"
  echo
done
