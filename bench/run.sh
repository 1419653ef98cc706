#!/usr/bin/env bash
# This library beside what people use or write instead, on this machine, in one run: builds bench/compare with
# optimisation, runs it and prints its table.
#
#   bench/run.sh                         all of it: about ten minutes
#   bench/run.sh --quick                 throughput of small items, and a glance at the rest: a minute
#   bench/run.sh --json FILE             also writes every median into FILE
#   bench/run.sh --picture FILE.svg      also draws the throughputs
#   bench/run.sh --only throughput       or metrics, latency, processor, idle, memory
#   bench/run.sh operators               instead: windows by key and event time, operators; two minutes
#   bench/run.sh durable [FOLDER]        instead: durable streams, on the file system of FOLDER (default: here)
#   bench/run.sh connectors              instead: Kafka, MQTT and MongoDB beside the bare client libraries, on servers that it
#                                        starts, or that MICROBATCH_TEST_KAFKA, _MQTT and _MONGODB name
#
# What is missing is installed with apt; a contender that cannot be had is left out.
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/.."

source tests/support/setup.sh
require_toolchain
require "the benchmarks" header:benchmark/benchmark.h
wish_for "some contenders" header:concurrentqueue/concurrentqueue.h header:boost/lockfree/queue.hpp header:tbb/tbb.h \
  header:atomic_queue/atomic_queue.h

build() {
  cmake --preset bench >/dev/null
  cmake --build --preset bench --parallel "$jobs" --target "$@" >&2
}
programs=$PWD/build/bench/bench

# connector NAME SCRIPT FACT: what the script says under FACT is the address of its server.
connector() {
  local name=$1 script=$PWD/tests/brokers/$2 variable=MICROBATCH_TEST_${1^^} folder=$PWD/build/bench/brokers/$1
  "$script" start "$folder"
  if grep -q "^$3=" "$folder/broker"; then
    env "$variable=$(sed -n "s/^$3=//p" "$folder/broker")" "$programs/connectors/bench_connectors_$name" || failed=yes
  fi
  "$script" stop "$folder"
}

case ${1:-} in
  operators)
    shift
    build bench_operators
    exec "$programs/operators/bench_operators" "$@"
    ;;
  durable)
    shift
    require "durable streams" header:sqlite3.h
    wish_for "some contenders" header:rocksdb/db.h header:lmdb.h
    build bench_durable
    cd "$here"
    exec "$programs/durable/bench_durable" "$@"
    ;;
  connectors)
    wish_for "the connectors" header:librdkafka/rdkafka.h header:MQTTAsync.h header:openssl/ssl.h \
      header:libmongoc-1.0/mongoc/mongoc.h
    wish_for "their servers" command:javac command:mvn command:mosquitto
    cmake --preset bench >/dev/null
    names=()
    for name in kafka mqtt mongodb; do
      ninja -C build/bench -t query "bench_connectors_$name" >/dev/null 2>&1 && names+=("bench_connectors_$name")
    done
    if ((${#names[@]} == 0)); then echo "no connector can be built here" && exit; fi
    build "${names[@]}"
    for name in "${names[@]#bench_connectors_}"; do
      case $name in
        kafka) connector kafka kafka.sh bootstrap ;;
        mqtt) connector mqtt mosquitto.sh server ;;
        mongodb) connector mongodb mongodb.sh server ;;
      esac
    done
    [[ -z ${failed:-} ]]
    ;;
  *)
    build bench_compare
    cd "$here"
    exec "$programs/compare/bench_compare" "$@"
    ;;
esac
