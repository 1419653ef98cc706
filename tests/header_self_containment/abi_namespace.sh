#!/usr/bin/env bash
# Everything that the library declares stands in the inline namespace of its version: docs/decisions/0012.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2

number() { sed -n "s/^#define MICROBATCH_VERSION_$1 //p" include/microbatch/version.hpp; }
name=v$(number MAJOR)_$(number MINOR)

if grep -rnE '^ *(inline )?namespace microbatch\b' include src tests/model |
  grep -vE ":namespace microbatch::inline $name(::[a-z_]+)* \{$"; then
  echo "these lines should begin with: namespace microbatch::inline $name"
  exit 1
fi
