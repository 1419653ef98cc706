#!/usr/bin/env bash
# A server of MongoDB's protocol that keeps its data on the disk (FerretDB over SQLite), on a loopback port of its own.
#
#   ferretdb.sh start FOLDER    builds it (once, minutes), starts it, and writes FOLDER/broker
#   ferretdb.sh stop FOLDER     stops it and removes what it wrote
#
# FOLDER/broker says how to reach it, in lines NAME=VALUE (server), or `unavailable=REASON` where it cannot be had. It has no
# change streams. Every write is synced before it is answered, which mongodb.sh's server, in memory, does not do.
#
# It needs Go 1.24 or newer and, for the first time, a network. The program is kept in ${XDG_CACHE_HOME:-~/.cache}/microbatch.
source "$(dirname "$0")/server.sh"

# build PROGRAM, once. Read-only: go.sum says which sources it may be made of.
build() {
  [[ -x $1 ]] && return
  command -v go >/dev/null || unavailable "go, which builds FerretDB, is not installed"
  mkdir -p "${1%/*}"
  local partial
  partial=$(mktemp "$1.XXXXXX")
  if ! (cd "$here/ferretdb" && GOTOOLCHAIN=local nice timeout 1200 go build -mod=readonly -o "$partial" .) >"$folder/build.log" 2>&1; then
    rm -f "$partial"
    unavailable "FerretDB could not be built (see $folder/build.log)"
  fi
  mv "$partial" "$1"
}

start() {
  rm -rf "$folder/broker" "$folder/data"
  [[ -f $folder/pid ]] && stop
  local version program
  version=$(sed -n 's/.*FerretDB\/FerretDB v//p' "$here/ferretdb/go.mod")
  program=${XDG_CACHE_HOME:-$HOME/.cache}/microbatch/ferretdb-$version
  build "$program"
  mkdir "$folder/data"
  free_ports 1
  : >"$folder/server.log"
  if serve "${ports[0]}" 60 "$program" "127.0.0.1:${ports[0]}" "$folder/data"; then
    echo "server=mongodb://127.0.0.1:${ports[0]}" >"$folder/broker"
    echo "ferretdb: runs on 127.0.0.1:${ports[0]}"
    return
  fi
  stop
  unavailable "FerretDB did not start (see $folder/server.log)"
}

stop() {
  end_server
  rm -rf "$folder/broker" "$folder/data"
}

run_action "$@"
