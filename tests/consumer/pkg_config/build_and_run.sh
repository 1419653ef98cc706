#!/usr/bin/env bash
# build_and_run.sh PKG_CONFIG FOLDER_OF_THE_PC_FILE COMPILER FLAGS...: what a Makefile would do.
set -euo pipefail

pkg_config=$1
export PKG_CONFIG_PATH=$2${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
shift 2

folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT

read -ra flags <<<"$("$pkg_config" --cflags --libs microbatch)"
libraries=$("$pkg_config" --variable=libdir microbatch)
"$@" -std=c++20 "$(dirname "$0")/../main.cpp" "${flags[@]}" -o "$folder/app"
LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} "$folder/app"  # for a shared library
