#!/usr/bin/env bash
# This library beside what people use or write instead, on this machine, in one run: builds bench/compare with
# optimisation, runs it and prints its table.
#
#   bench/run.sh                         all of it: about ten minutes
#   bench/run.sh --quick                 throughput of small items, and a glance at the rest: a minute
#   bench/run.sh --json FILE             also writes every median into FILE
#   bench/run.sh --picture FILE.svg      also draws the throughputs
#   bench/run.sh --only throughput       or latency, processor, idle, memory
#   bench/run.sh --operators             windows by key and event time, operators: two minutes
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

cmake --preset bench >/dev/null
if [[ ${1:-} == --operators ]]; then
  shift
  programs=(keyed_windows event_time memory_per_key)
  cmake --build --preset bench --parallel "$jobs" --target "${programs[@]/#/bench_operators_}" >&2
  for program in "${programs[@]}"; do "build/bench/bench/operators/bench_operators_$program" "$@"; done
  exit
fi
cmake --build --preset bench --parallel "$jobs" --target bench_compare >&2
program=$PWD/build/bench/bench/compare/bench_compare
cd "$here"
exec "$program" "$@"
