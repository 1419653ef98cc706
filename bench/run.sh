#!/usr/bin/env bash
# This library beside what people use or write instead, on this machine, in one run: builds bench/compare with
# optimisation, runs it and prints its table.
#
#   bench/run.sh                         all of it: about ten minutes
#   bench/run.sh --quick                 throughput of small items, and a glance at the rest: a minute
#   bench/run.sh --json FILE             also writes every median into FILE
#   bench/run.sh --picture FILE.svg      also draws the throughputs
#   bench/run.sh --only throughput       or metrics, burst, latency, processor, idle, memory
#   bench/run.sh operators               instead: windows by key and event time, operators; two minutes
#   bench/run.sh durable [FOLDER]        instead: durable streams, on the file system of FOLDER (default: here)
#   bench/run.sh connectors              instead: Kafka, MQTT and MongoDB beside the bare client libraries, on servers that it
#                                        starts, or that MICROBATCH_TEST_KAFKA, _MQTT and _MONGODB name; how a group of Kafka
#                                        grows, and what its rebalances cost: half an hour
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

# measure VARIABLE SCRIPT FACT PROGRAM...: with the server that the script starts, whose address it says under FACT.
measure() {
  local variable=$1 script=$PWD/tests/brokers/$2 fact=$3 folder=$PWD/build/bench/brokers/${2%.sh} program
  shift 3
  "$script" start "$folder"
  if grep -q "^$fact=" "$folder/broker"; then
    for program in "$@"; do
      env "$variable=$(sed -n "s/^$fact=//p" "$folder/broker")" "$programs/connectors/bench_connectors_$program" || failed=yes
    done
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
    for name in kafka scaling mqtt mongodb; do
      ninja -C build/bench -t query "bench_connectors_$name" >/dev/null 2>&1 && names+=("bench_connectors_$name")
    done
    if ((${#names[@]} == 0)); then echo "no connector can be built here" && exit; fi
    build "${names[@]}"
    for name in "${names[@]#bench_connectors_}"; do
      case $name in
        kafka) measure MICROBATCH_TEST_KAFKA kafka.sh bootstrap kafka scaling ;;
        mqtt) measure MICROBATCH_TEST_MQTT mosquitto.sh server mqtt ;;
        mongodb)
          measure MICROBATCH_TEST_MONGODB mongodb.sh server mongodb
          # And one that syncs what it has written, where Go is there to build it.
          [[ -n ${MICROBATCH_TEST_MONGODB:-} ]] || measure MICROBATCH_TEST_MONGODB ferretdb.sh server mongodb
          ;;
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
