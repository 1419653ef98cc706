#!/usr/bin/env bash
# check.sh [COMPILER FLAGS...]: the documents keep their word. Each page's C++ must compile against the headers, each link
# within the repository must lead somewhere. Without arguments: c++ with this checkout's headers.
#
# What stands between ```cpp and ``` is one of three things:
#
#   ```cpp           with an #include in it: a whole program, compiled as it is
#   ```cpp           otherwise: statements, compiled as the body of a function
#   ```cpp global    types and functions at namespace scope, which the page's later blocks may use
#
# Statements and global blocks may use what snippet.hpp brings: the library's names, std::chrono's literals, and a few objects
# that need no introduction. Any other language than cpp is not looked at.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root" || exit 2

compile=("$@")
((${#compile[@]} > 0)) || compile=("${CXX:-c++}" -std=c++20 -Iinclude)
compile+=(-fsyntax-only -Wall -Wextra -Werror -Wno-unused-variable -Wno-unused-but-set-variable -Wno-unused-parameter)

work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
failed=0
complain() { echo "$1" && failed=$((failed + 1)); }

# split PAGE: its statements and global blocks go into $work/page.cpp, its programs into $work/program-LINE.cpp. The compiler's
# messages name the page and its line.
split() {
  rm -f "$work"/*.cpp
  awk -v page="$1" -v work="$work" '
    function place(line) { return "#line " line " \"" page "\"\n" }
    function finish() {
      if (program) {
        printf "%s%s", place(begin), text > (work "/program-" begin ".cpp")
      } else if (global) {
        fragments = fragments place(begin) text
      } else {
        fragments = fragments "inline void lines_from_" begin "() {\n" place(begin) text "}\n"
      }
    }
    /^```/ {
      if (inside) { if (inside == "cpp") finish(); inside = ""; next }
      inside = substr($1, 4) == "" ? "text" : substr($1, 4)
      global = ($2 == "global"); program = 0; text = ""; begin = NR + 1
      next
    }
    inside == "cpp" { text = text $0 "\n"; if ($0 ~ /^#include/) program = 1 }
    END {
      if (inside) { print page ": the last block is not closed"; exit 1 }
      if (fragments != "")
        printf "#include \"%s\"\nnamespace page {\nusing namespace microbatch;\n%s}\n",
               "snippet.hpp", fragments > (work "/page.cpp")
    }' "$1"
}

# What GitHub makes of a page's headings: lower case, no punctuation, dashes for spaces.
anchors() {
  awk '/^```/ { code = !code } !code && /^#+ / { sub(/^#+ /, ""); print tolower($0) }' "$1" |
    sed 's/[^a-z0-9 _-]//g; s/ /-/g'
}

check_links() {
  local page=$1 target file anchor
  while read -r target; do
    [[ $target =~ ^(https?|mailto): ]] && continue
    anchor=
    [[ $target == *'#'* ]] && anchor=${target#*#}
    file=${target%%#*}
    if [[ -z $file ]]; then file=$page; else file=$(dirname "$page")/$file; fi
    if [[ ! -e $file ]]; then
      complain "$page: the link $target leads nowhere"
    elif [[ -n $anchor ]] && ! anchors "$file" | grep -qxF -- "$anchor"; then
      complain "$page: $file has no heading for #$anchor"
    fi
  done < <(awk '/^```/ { code = !code } !code' "$page" | grep -oE '\]\([^) ]+\)' | sed 's/^](//; s/)$//')
}

blocks=0
pages=(README.md docs/*.md docs/decisions/*.md)
for page in "${pages[@]}"; do
  split "$page" || failed=$((failed + 1))
  for source in "$work"/*.cpp; do
    [[ -e $source ]] || continue
    blocks=$((blocks + 1))
    "${compile[@]}" -I"$here" "$source" || complain "$page: its C++ does not compile"
  done
  check_links "$page"
done

# The README's program is the first example, word for word.
if [[ -e examples/01_hello_window.cpp ]]; then
  awk '/^```cpp/ { inside = 1; next } /^```/ { if (inside) exit } inside' README.md >"$work/readme"
  grep -v '^//' examples/01_hello_window.cpp | awk 'NF || begun { begun = 1; print }' |
    diff "$work/readme" - >"$work/diff" || { cat "$work/diff"; complain "README.md: its program is not examples/01_hello_window.cpp"; }
fi

echo "documents: ${#pages[@]} pages, $blocks compilations, $failed failed"
((failed == 0 && blocks > 0))
