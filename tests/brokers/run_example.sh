#!/usr/bin/env bash
# run_example.sh BROKER VARIABLE PROGRAM: runs an example, with the server that the file BROKER tells of in VARIABLE.
set -euo pipefail
server=$(sed -n 's/^server=//p' "$1")
if [[ -n $server ]]; then export "$2=$server"; fi
exec "$3"
