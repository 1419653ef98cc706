#!/usr/bin/env bash
# Installs what is missing, builds the examples and runs them, one after the other.
#
#   examples/run.sh                  all of them
#   examples/run.sh retry            those with `retry` in their name
#   examples/run.sh --preset dev     as another preset builds them (tests/run.sh builds `dev`)
set -euo pipefail
cd "$(dirname "$0")/.."
preset=examples
if [[ ${1:-} == --preset ]]; then
  preset=$2
  shift 2
fi
wanted=${1:-}

source tests/support/setup.sh
require_toolchain
wish_for "some examples" header:sqlite3.h header:tbb/tbb.h header:asio.hpp header:nlohmann/json.hpp
wish_for "the examples with Kafka" header:librdkafka/rdkafka.h

cmake --preset "$preset"
cmake --build --preset "$preset" --parallel "$jobs"

cd "build/$preset/examples/run"
ran=0
failed=()
for example in ../[0-9]*"$wanted"*; do
  [[ -f $example && -x $example ]] || continue
  name=${example##*/}
  printf '\n=== %s ===\n' "$name"
  "$example" || failed+=("$name")
  ran=$((ran + 1))
done

printf '\nexamples run: %d, failed: %d %s\n' "$ran" "${#failed[@]}" "${failed[*]}"
((ran > 0 && ${#failed[@]} == 0))
