#!/usr/bin/env bash
# check.sh CASE.cpp COMPILER FLAGS...: compiles both twins of a case; see CMakeLists.txt beside this file.
set -uo pipefail

case_file=$1
shift
compile=("$@" -c -o /dev/null "$case_file")

expected=$(sed -n '1s|^// expect: *||p' "$case_file")
if [[ -z $expected ]]; then
  echo "$case_file: the first line must be '// expect: <a part of the compiler's message>'"
  exit 1
fi

if ! "${compile[@]}"; then
  echo "$case_file: the good twin must compile"
  exit 1
fi

if message=$("${compile[@]}" -DBAD 2>&1); then
  echo "$case_file: the bad twin compiled"
  exit 1
fi

if ! grep -qF -- "$expected" <<<"$message"; then
  echo "$case_file: the bad twin failed, but nowhere does the compiler say '$expected':"
  echo "$message"
  exit 1
fi
