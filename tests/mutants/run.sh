#!/usr/bin/env bash
# run.sh [NAME...]: breaks the library on purpose, and requires the test that watches over it to fail.
#
# A mutant is a file beside this one, scenario_NN_* or guarantee_NN_* after what it breaks:
#
#   # What is broken, in words.
#   test: the name of the test that must notice
#   source: tests/unit/scenarios/count_and_weight.cpp
#   in: include/microbatch/emitters/count_window.hpp
#   -     the lines to replace: they stand in that file exactly once, one after the other
#   +     what replaces them
#
# The test must pass without the mutant, and fail, crash or hang (a minute is for ever) with it. CXX, CXXFLAGS and
# JOBS in the environment are the compiler, more flags for it and how many compile at a time.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit

project=$PWD
compiler=${CXX:-c++}
read -ra flags <<<"-std=c++20 -pthread ${CXXFLAGS:-}"
jobs=${JOBS:-$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ulimit -c 0

mutants=("$@")
if (($# == 0)); then
  mutants=(tests/mutants/scenario_* tests/mutants/guarantee_*)
  for number in scenario_{01..24} guarantee_{01..11}; do
    if ! compgen -G "tests/mutants/${number}_*" >/dev/null; then
      echo "tests/mutants: nothing breaks $number"
      exit 1
    fi
  done
fi
mutants=("${mutants[@]##*/}")

field() { sed -n "s/^$1: *//p" "tests/mutants/$2"; }

# parallel FUNCTION ARGUMENT...: calls it once for each argument, some at a time.
parallel() {
  local function=$1 argument
  shift
  for argument in "$@"; do
    while (($(jobs -rp | wc -l) >= jobs)); do wait -n; done
    "$function" "$argument" &
  done
  wait
}

compile() { "$compiler" "${flags[@]}" "$@" >"$log" 2>&1; }

# link PROGRAM SOURCE INCLUDES OBJECT...
link_test() {
  local program=$1 source=$2 includes=$3
  shift 3
  compile -I"$includes" -Itests -o "$program" "$source" "$@" "${catch[@]}" -lfmt
}

# run_test PROGRAM NAME: true if that test, and it alone, ran and passed.
run_test() {
  local name
  name=$(sed 's/[],\\[]/\\&/g' <<<"$2")
  { timeout --kill-after=5 60 "$1" --abort "$name" >"$log" 2>&1; } 2>/dev/null
  status=$?
  ((status == 0)) && grep -q 'in 1 test case)' "$log"
}

# --- without a mutant ------------------------------------------------------------------------------------------------

mkdir -p "$work/library" "$work/sound" "$work/verdicts"

compile_library() {
  local log=$work/library/${1##*/}.log
  compile -Iinclude -c -o "$work/library/${1##*/}.o" "$1" || cat "$log"
}
compile_sound() {
  local program=$work/sound/${1//\//_} log=$work/sound/${1//\//_}.log
  link_test "$program" "$1" include "$work"/library/*.o || cat "$log"
}

if echo '#include <catch2/catch_test_macros.hpp>' | "$compiler" "${flags[@]}" -M -x c++ - >/dev/null 2>&1; then
  catch=(-lCatch2Main -lCatch2)
  parallel compile_library src/*.cpp
else
  catch=("$work/catch_main.o")
  main_of_catch() { log=$work/catch.log compile -c -o "$work/catch_main.o" tests/support/catch_main.cpp || cat "$work/catch.log"; }
  main_of_catch &
  parallel compile_library src/*.cpp
fi
mapfile -t sources < <(for mutant in "${mutants[@]}"; do field source "$mutant"; done | sort -u)
parallel compile_sound "${sources[@]}"

# --- with each mutant ------------------------------------------------------------------------------------------------

break_it() {
  local mutant=$1 text rest old new
  old=$(sed -n 's/^- //p' "tests/mutants/$mutant")
  new=$(sed -n 's/^+ //p' "tests/mutants/$mutant")
  text=$(<"$place/$victim")
  rest=${text#*"$old"}
  [[ -n $old && $rest != "$text" && $rest != *"$old"* ]] || return
  printf '%s\n' "${text%%"$old"*}$new$rest" >"$place/$victim"
}

try() {
  local mutant=$1 victim source name place=$work/$1 log=$work/$1.log objects=() status=0
  local verdict=$work/verdicts/$1 said
  victim=$(field in "$mutant") source=$(field source "$mutant") name=$(field test "$mutant")
  mkdir "$place"
  cp -rL include src "$place"
  objects=("$work"/library/*.o)
  if ! run_test "$work/sound/${source//\//_}" "$name"; then
    said="FAILED: without it, '$name' does not pass"
  elif ! break_it "$mutant"; then
    said="FAILED: the lines to replace do not stand in $victim exactly once"
  elif [[ $victim == src/* ]] &&
    ! compile -I"$place/include" -c -o "$place/broken.o" "$place/$victim"; then
    said="FAILED: $victim does not compile"
  else
    if [[ $victim == src/* ]]; then
      objects=("${objects[@]/$work\/library\/${victim##*/}.o/$place/broken.o}")
    fi
    if ! link_test "$place/test" "$source" "$place/include" "${objects[@]}"; then
      said="FAILED: $source does not compile with it"
    elif run_test "$place/test" "$name"; then
      said="SURVIVED: '$name' does not notice it"
    elif ((status == 124 || status == 137)); then
      said="caught: '$name' hangs"
    elif ! grep -q '^test cases: ' "$log" || grep -q 'fatal error condition' "$log"; then
      said="caught: '$name' crashes"
    else
      said="caught: '$name' fails"
    fi
  fi
  echo "$mutant: $said" | tee "$verdict"
  if [[ $said != caught* && -s $log ]]; then head -n 20 "$log"; fi
  rm -rf "$place"
}

parallel try "${mutants[@]}"

passed=$(cat "$work"/verdicts/* | grep -c ': caught: ')
failed=$((${#mutants[@]} - passed))
echo "$passed passed, $failed failed"
((failed == 0))
