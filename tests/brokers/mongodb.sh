#!/usr/bin/env bash
# A server of MongoDB's protocol (mongo-java-server) for tests, on a loopback port of its own.
#
#   mongodb.sh start FOLDER    fetches it (once), starts it, and writes FOLDER/broker
#   mongodb.sh stop FOLDER     stops it
#
# FOLDER/broker says how to reach it, in lines NAME=VALUE (server, changes), or `unavailable=REASON` where it cannot be had:
# that is no failure of start, the tests that need it are skipped then. If MICROBATCH_TEST_MONGODB names a server that runs
# already (mongodb://host:port), nothing is started; it must be a replica set for the tests of change streams.
#
# It needs a JDK 17 or newer, mvn (Maven) and, for the first time, a network. The programs are kept in
# ${XDG_CACHE_HOME:-~/.cache}/microbatch.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[[ $# == 2 ]] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" && exit 2; }
mkdir -p "$2"
folder=$(cd "$2" && pwd)

unavailable() {
  echo "mongodb: skipped, because $1"
  echo "unavailable=$1" >"$folder/broker"
  exit 0
}

fetch() {
  library=${XDG_CACHE_HOME:-$HOME/.cache}/microbatch/mongo-java-server-1.47.0
  [[ -d $library ]] && return
  command -v mvn >/dev/null || unavailable "mvn (Maven), which fetches the server, is not installed"
  mkdir -p "${library%/*}"
  local partial
  partial=$(mktemp -d "$library.XXXXXX")
  if ! timeout 120 mvn -q -B -f "$here/mongo-java-server/pom.xml" dependency:copy-dependencies \
    -DincludeScope=runtime "-DoutputDirectory=$partial" >"$folder/fetch.log" 2>&1; then
    rm -rf "$partial"
    unavailable "the server could not be fetched (see $folder/fetch.log)"
  fi
  mv -T "$partial" "$library" 2>/dev/null || rm -rf "$partial"  # somebody else was faster
}

# A port that nobody listens on, below those that the system gives out by itself.
free_port() {
  while :; do
    port=$((20000 + RANDOM % 10000))
    (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || return
  done
}

start() {
  rm -f "$folder/broker"
  if [[ -n ${MICROBATCH_TEST_MONGODB:-} ]]; then
    printf 'server=%s\nchanges=%s\n' "$MICROBATCH_TEST_MONGODB" "$MICROBATCH_TEST_MONGODB" >"$folder/broker"
    return
  fi
  [[ -f $folder/pid ]] && stop
  command -v javac >/dev/null || unavailable "a JDK is not installed"
  fetch
  free_port
  # It must outlive us, and what waits for our output must not wait for it.
  setsid bash -c 'echo $$ >"$0/pid"; exec java -Xmx1g -XX:TieredStopAtLevel=1 -cp "$1/*" "$2" "$3"' \
    "$folder" "$library" "$here/mongo-java-server/Server.java" "$port" >"$folder/server.log" 2>&1 </dev/null &
  local i
  for ((i = 0; i < 600; i++)); do
    if (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      printf 'server=mongodb://127.0.0.1:%s\nchanges=yes\n' "$port" >"$folder/broker"
      echo "mongodb: runs on 127.0.0.1:$port"
      return
    fi
    [[ -f $folder/pid ]] && ! kill -0 "$(<"$folder/pid")" 2>/dev/null && break
    sleep 0.1
  done
  stop
  unavailable "the server did not start (see $folder/server.log)"
}

stop() {
  if [[ -f $folder/pid ]]; then
    local pid i
    pid=$(<"$folder/pid")
    kill "$pid" 2>/dev/null
    for ((i = 0; i < 50; i++)); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null
    rm -f "$folder/pid"
  fi
  rm -f "$folder/broker"
}

case $1 in
  start) start ;;
  stop) stop ;;
  *) exit 2 ;;
esac
