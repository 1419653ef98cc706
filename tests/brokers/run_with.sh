#!/usr/bin/env bash
# run_with.sh BROKER VARIABLE PROGRAM [ARGUMENT...]: runs a program that looks in VARIABLE for the server of the file BROKER.
set -euo pipefail
server=$(sed -n 's/^server=//p' "$1")
if [[ -n $server ]]; then export "$2=$server"; fi
exec "${@:3}"
