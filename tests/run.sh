#!/usr/bin/env bash
# Installs what is missing, builds the tests and runs them.
#
#   tests/run.sh                     all but the long ones, with the preset dev
#   tests/run.sh --preset tsan       another preset of CMakePresets.json: clang, release, asan-ubsan, tsan
#   tests/run.sh --label stress      only the tests with this label; --label long runs the long ones
#   tests/run.sh --target stress_tests --label stress     builds only these
#   tests/run.sh -- -DNAME=VALUE     more options for CMake
set -euo pipefail
cd "$(dirname "$0")/.."

preset=dev
selection=(--label-exclude long)
target=all
while (($# > 0)); do
  case $1 in
    --preset) preset=$2 && shift 2 ;;
    --target) target=$2 && shift 2 ;;
    --label)
      selection=(--label-regex "$2")
      [[ $2 == *long* ]] || selection+=(--label-exclude long)
      shift 2
      ;;
    --) shift && break ;;
    *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" && exit 2 ;;
  esac
done

source tests/support/setup.sh
require_toolchain
require "the tests" header:catch2/catch.hpp
require "the benchmarks" header:benchmark/benchmark.h
wish_for "the models of the lock-free parts" header:relacy/relacy.hpp
wish_for "the test of the pkg-config file" command:pkg-config
wish_for "the documentation site" command:pandoc command:doxygen
wish_for "the instruction counts" command:valgrind
wish_for "the component mqtt" header:MQTTAsync.h header:openssl/ssl.h
wish_for "the component mongodb" header:libmongoc-1.0/mongoc/mongoc.h
wish_for "the tests against a server of MongoDB's protocol" command:javac command:mvn
wish_for "the tests against an MQTT broker" command:mosquitto command:openssl
wish_for "some examples" header:sqlite3.h header:tbb/tbb.h header:asio.hpp header:nlohmann/json.hpp
wish_for "the Prometheus endpoint" header:prometheus/exposer.h command:prometheus command:promtool command:python3
wish_for "the published definitions of OTLP" command:python3 python:ensurepip
wish_for "the oracle of the histograms" command:java file:/usr/share/java/hdrhistogram.jar
wish_for "the Kafka connector" header:librdkafka/rdkafka.h
if [[ -z ${MICROBATCH_TEST_KAFKA:-} ]]; then
  wish_for "the tests with a real Kafka broker" command:java command:mvn
fi
if [[ $preset == clang ]]; then
  require "the preset clang" command:clang++-16
elif [[ $preset == asan-ubsan ]]; then
  wish_for "a quicker build with the sanitizers" command:clang++-16 sanitizers:clang++-16
  is_there sanitizers:clang++-16 || set -- -DCMAKE_CXX_COMPILER=c++ "$@"
fi

cmake --preset "$preset" "$@"
cmake --build --preset "$preset" --parallel "$jobs" --target "$target"

# Sanitizers read their settings from /proc; those of older compilers cannot live with every randomised address layout.
prefix=()
if [[ $preset == *san && $(uname) == Linux ]]; then
  if [[ ! -e /proc/self/environ ]]; then
    echo "setup: the sanitizers need /proc, which is not mounted here"
    exit 1
  fi
  if setarch -R true 2>/dev/null; then prefix=(setarch -R); fi
fi

"${prefix[@]}" ctest --preset "$preset" --parallel "$jobs" "${selection[@]}"
