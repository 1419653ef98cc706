#!/usr/bin/env bash
# Makes the Conan package, with its components, and builds and runs its test package. Where Conan's server cannot be reached,
# with what Debian has installed in place of its packages: conan/conanfile.py.
set -euo pipefail
cd "$(dirname "$0")/../.."

command -v conan >/dev/null || { echo "conan.sh: skipped, because Conan 2 is not installed (pip install conan)" && exit 77; }

CONAN_HOME=$(mktemp -d)
export CONAN_HOME
trap 'rm -rf "$CONAN_HOME"' EXIT
conan profile detect >/dev/null 2>&1

remote=()
if ! conan list fmt/9.1.0 --remote conancenter 2>/dev/null | grep -q 'fmt/9'; then
  echo "conan.sh: Conan's server is not reached; Debian's libraries stand in"
  remote=(--no-remote)
  for package in fmt/9.1.0 sqlite3/3.40.1 prometheus-cpp/1.1.0 librdkafka/2.0.2 paho-mqtt-c/1.3.12 mongo-c-driver/1.23.1; do
    conan create tests/packages/conan --name "${package%/*}" --version "${package#*/}" --no-remote >/dev/null 2>&1
  done
fi

options=()
for component in sqlite prometheus kafka mqtt mongodb; do options+=(--options "&:$component=True"); done
conan create packaging/conan --settings compiler.cppstd=20 "${options[@]}" \
  --build=missing --conf 'tools.cmake.cmake_layout:test_folder=$TMP' "${remote[@]}"
