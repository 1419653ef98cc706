#!/usr/bin/env bash
# mutant.sh PROJECT MUTATION COMPILER FLAGS...: breaks one line of the library and expects its model to notice.
#
# A mutation is a file of this form; its lines marked `-` must stand in the named file exactly once, one after the other,
# and are replaced by those marked `+`. `model` names the model and a suite of it, `expect` a part of relacy's verdict, or
# several of which any will do (`A|B`), or `crash`.
#
#   # What is broken, in words.
#   model: publish OneGate
#   expect: DATA RACE
#   in: include/microbatch/queue/lane_gate.hpp
#   -     tail_.store(published, std::memory_order_release);
#   +     tail_.store(published, std::memory_order_relaxed);
set -euo pipefail

project=$1 mutation=$2
shift 2

field() { sed -n "s/^$1: *//p" "$mutation"; }
read -r model suite <<<"$(field model)"
expected=$(field expect) victim=$(field in)
old=$(sed -n 's/^- //p' "$mutation")
new=$(sed -n 's/^+ //p' "$mutation")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tests"
cp -rL "$project/include" "$work"
cp -rL "$project/tests/model" "$work/tests"

text=$(<"$work/$victim")
rest=${text#*"$old"}
if [[ -z $old || $rest == "$text" || $rest == *"$old"* ]]; then
  echo "$mutation: the lines to replace must stand in $victim exactly once:"
  echo "$old"
  exit 1
fi
printf '%s\n' "${text%%"$old"*}$new$rest" >"$work/$victim"

"$@" -I"$work/include" -I"$work/tests" -o "$work/mutant" "$work/tests/model/$model.cpp"
status=0
{ MICROBATCH_MODEL_ONLY=$suite "$work/mutant" >"$work/verdict" 2>&1; } 2>/dev/null || status=$?

if ((status == 0)); then
  echo "$mutation: survived; $suite in the model $model does not notice it"
  exit 1
fi
if ((status > 128)); then echo crash >>"$work/verdict"; fi
if ! grep -qE -- "$expected" "$work/verdict"; then
  echo "$mutation: the model $model failed, but not with '$expected':"
  head -n 20 "$work/verdict"
  exit 1
fi
echo "caught by $model: $(grep -m1 -E -- "$expected" "$work/verdict"), $(grep -m1 '^iteration: ' "$work/verdict" || echo 'no iteration')"
