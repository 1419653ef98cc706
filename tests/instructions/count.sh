#!/usr/bin/env bash
# count.sh PROGRAM WAY MOST: requires that an append, or a step, by this WAY takes at most so many instructions, refills
# included.
# An instruction count does not depend on the machine's mood, as a time would.
set -euo pipefail
program=$1 way=$2 most=$3

instructions() {
  local out
  out=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$way" "$1" 2>&1) || { echo "$out" >&2; return 1; }
  sed -n 's/.*Collected : //p' <<<"$out"
}
few=$(instructions 10240)
many=$(instructions 30720)
each=$(((many - few + 10240) / 20480))
echo "$way: $each instructions each, at most $most allowed"
((each > 0 && each <= most))
