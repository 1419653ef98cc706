#!/usr/bin/env bash
# This library beside what people use or write instead, on this machine, in one run: builds bench/compare with
# optimisation, runs it and prints its table.
#
#   bench/run.sh                         all of it: about ten minutes
#   bench/run.sh --quick                 throughput of small items, and a glance at the rest: a minute
#   bench/run.sh --json FILE             also writes every median into FILE
#   bench/run.sh --picture FILE.svg      also draws the throughputs
#   bench/run.sh --only throughput       or latency, processor, idle, memory
#   bench/run.sh operators               instead: windows by key and event time, operators; two minutes
#   bench/run.sh durable [FOLDER]        instead: durable streams, on the file system of FOLDER (default: here)
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

case ${1:-} in
  operators)
    shift
    names=(keyed_windows event_time memory_per_key)
    build "${names[@]/#/bench_operators_}"
    for name in "${names[@]}"; do "$programs/operators/bench_operators_$name" "$@"; done
    ;;
  durable)
    shift
    require "durable streams" header:sqlite3.h
    wish_for "some contenders" header:rocksdb/db.h header:lmdb.h
    build bench_durable
    cd "$here"
    exec "$programs/durable/bench_durable" "$@"
    ;;
  *)
    build bench_compare
    cd "$here"
    exec "$programs/compare/bench_compare" "$@"
    ;;
esac
