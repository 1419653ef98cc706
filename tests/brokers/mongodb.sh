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
source "$(dirname "$0")/server.sh"

start() {
  rm -f "$folder/broker"
  if [[ -n ${MICROBATCH_TEST_MONGODB:-} ]]; then
    printf 'server=%s\nchanges=%s\n' "$MICROBATCH_TEST_MONGODB" "$MICROBATCH_TEST_MONGODB" >"$folder/broker"
    return
  fi
  [[ -f $folder/pid ]] && stop
  command -v javac >/dev/null || unavailable "a JDK is not installed"
  fetch "$here/mongo-java-server/pom.xml" mongo-java-server-1.47.0 120 "the server"
  free_ports 1
  : >"$folder/server.log"
  if serve "${ports[0]}" 60 java -Xmx1g -XX:TieredStopAtLevel=1 -cp "$library/*" "$here/mongo-java-server/Server.java" \
    "${ports[0]}"; then
    printf 'server=mongodb://127.0.0.1:%s\nchanges=yes\n' "${ports[0]}" >"$folder/broker"
    echo "mongodb: runs on 127.0.0.1:${ports[0]}"
    return
  fi
  stop
  unavailable "the server did not start (see $folder/server.log)"
}

stop() {
  end_server
  rm -f "$folder/broker"
}

run_action "$@"
