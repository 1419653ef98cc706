#!/usr/bin/env bash
# check_symbols.sh NM PROGRAM NAMESPACE...: every symbol of the library's stands in one of the inline namespaces.
set -euo pipefail

nm=$1 program=$2
shift 2

symbols=$("$nm" --demangle "$program" | grep -o 'microbatch::[A-Za-z0-9_]*' | sort | uniq -c)
echo "$symbols"
for namespace; do
  grep -q "microbatch::$namespace$" <<<"$symbols" || { echo "nothing stands in microbatch::$namespace"; exit 1; }
  symbols=$(grep -v "microbatch::$namespace$" <<<"$symbols" || true)
done
[[ -z $symbols ]] || { echo "outside of the inline namespace: $symbols"; exit 1; }
