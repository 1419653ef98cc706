#!/usr/bin/env bash
# fetched.sh [FOLDER]: the library with the packages that it fetches where none are installed: fmt, and for our own programs
# Catch2 and benchmark. Built, installed, and used by a project that finds what was installed; a test and a benchmark run. FOLDER
# (or MICROBATCH_FETCHED) holds their sources as fmt/, Catch2/ and benchmark/; what is not there is fetched from the network.
set -euo pipefail
cd "$(dirname "$0")/../.."

folder=${1:-${MICROBATCH_FETCHED:-}}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

sources=()
for name in fmt Catch2 benchmark; do
  if [[ -n $folder && -e $folder/$name/CMakeLists.txt ]]; then
    sources+=("-DFETCHCONTENT_SOURCE_DIR_${name^^}=$(cd "$folder/$name" && pwd)")
  fi
done
if ((${#sources[@]} < 3)) && ! timeout 20 git ls-remote https://github.com/fmtlib/fmt.git 10.2.1 >/dev/null 2>&1; then
  echo "fetched.sh: skipped, because the network is not reached and MICROBATCH_FETCHED names no folder of sources"
  exit 77
fi

components=()
for file in packaging/cmake/components/*.cmake; do
  name=$(basename "$file" .cmake)
  components+=("-DMICROBATCH_${name^^}=OFF")
done

never=-DFETCHCONTENT_TRY_FIND_PACKAGE_MODE=NEVER  # as if nothing were installed
cmake -S . -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DMICROBATCH_BUILD_EXAMPLES=OFF $never \
  "${components[@]}" "${sources[@]}"
cmake --build "$work/build" --parallel "$(nproc)" --target fmt microbatch property_ledger bench_append_cost
"$work/build/tests/property_ledger"
"$work/build/bench/bench_append_cost" --benchmark_list_tests

# What was fetched is installed, too, and found.
cmake --install "$work/build" --prefix "$work/prefix" >/dev/null
cmake -S tests/consumer/find_package -B "$work/consumer" -G Ninja -DCMAKE_PREFIX_PATH="$work/prefix"
grep -q "^fmt_DIR:PATH=$work/prefix" "$work/consumer/CMakeCache.txt" || { echo "another fmt was found" && exit 1; }
cmake --build "$work/consumer"
"$work/consumer/app"
