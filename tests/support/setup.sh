# Sourced by tests/run.sh, examples/run.sh and .ci/run: sees to it that a program can be built here.
#
#   require REASON NEED...     installs what is missing, or says so and ends
#   wish_for REASON NEED...    the same, but goes on without it
#
# A NEED is `command:NAME`, `header:PATH`, `file:PATH`, `python:MODULE` or `sanitizers:COMPILER`. apt installs it where there is
# apt; elsewhere the user reads what is missing.

jobs=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

debian_package_of() {
  case $1 in
    command:c++) echo g++ ;;
    command:ninja) echo ninja-build ;;
    command:pkg-config) echo pkg-config ;;
    command:clang++-16) echo clang-16 ;;
    command:javac) echo default-jdk-headless ;;
    command:mvn) echo maven ;;
    sanitizers:clang++-16) echo libclang-rt-16-dev ;;
    header:fmt/format.h) echo libfmt-dev ;;
    header:catch2/*) echo catch2 ;;
    header:benchmark/benchmark.h) echo libbenchmark-dev ;;
    header:relacy/relacy.hpp) echo relacy-dev ;;
    header:sqlite3.h) echo libsqlite3-dev ;;
    header:rocksdb/db.h) echo librocksdb-dev ;;
    header:lmdb.h) echo liblmdb-dev ;;
    header:nlohmann/json.hpp) echo nlohmann-json3-dev ;;
    header:MQTTAsync.h) echo libpaho-mqtt-dev ;;
    header:libmongoc-1.0/*) echo libmongoc-dev ;;
    header:openssl/*) echo libssl-dev ;;
    header:tbb/tbb.h) echo libtbb-dev ;;
    header:librdkafka/*) echo librdkafka-dev ;;
    header:asio.hpp) echo libasio-dev ;;
    header:concurrentqueue/*) echo libconcurrentqueue-dev ;;
    header:boost/*) echo libboost-dev ;;
    header:atomic_queue/*) echo libatomic-queue-dev ;;
    header:prometheus/*) echo prometheus-cpp-dev ;;
    command:promtool) echo prometheus ;;
    command:java) echo default-jdk-headless ;;
    file:*/hdrhistogram.jar) echo libhdrhistogram-java ;;
    python:ensurepip) echo python3-venv ;;
    *) echo "${1#*:}" ;;
  esac
}

is_there() {
  case $1 in
    command:*) PATH=$PATH:/usr/sbin command -v "${1#command:}" >/dev/null ;;
    header:catch2/*) has_header catch2/catch_test_macros.hpp || has_header catch2/catch.hpp ;;
    header:libmongoc-1.0/*) [[ -e /usr/include/${1#header:} || -e /usr/local/include/${1#header:} ]] ;;
    header:*) has_header "${1#header:}" ;;
    sanitizers:*) echo "int main() {}" | "${1#sanitizers:}" -fsanitize=address -x c++ - -o /dev/null 2>/dev/null ;;
    file:*) [[ -e ${1#file:} ]] ;;
    python:*) python3 -c "import ${1#python:}" 2>/dev/null ;;
  esac
}

has_header() { echo "#include <$1>" | c++ -std=c++20 -M -x c++ - >/dev/null 2>&1; }

# Leaves in `missing` those of the needs that are not there.
find_missing() {
  local need
  missing=()
  for need in "$@"; do
    is_there "$need" || missing+=("$need")
  done
}

as_root() {
  if [[ $(id -u) == 0 ]]; then
    env DEBIAN_FRONTEND=noninteractive "$@"
  else
    sudo env DEBIAN_FRONTEND=noninteractive "$@"
  fi
}

can_install() { command -v apt-get >/dev/null && { [[ $(id -u) == 0 ]] || command -v sudo >/dev/null; }; }

# One package after the other: one that the system does not have must not keep the others out.
install() {
  local need package
  if [[ -z ${package_lists_are_fresh:-} ]]; then
    as_root apt-get update -q >/dev/null || echo "setup: apt-get update failed; trying with what apt knows"
    package_lists_are_fresh=yes
  fi
  for need in "$@"; do
    package=$(debian_package_of "$need")
    echo "setup: installing $package"
    as_root apt-get install -q -y --no-install-recommends -o Dpkg::Use-Pty=0 "$package" >/dev/null </dev/null || true
  done
}

# Tells what is still missing, after an attempt to install it.
provide() {
  local reason=$1
  shift
  find_missing "$@"
  if ((${#missing[@]} > 0)) && can_install; then
    install "${missing[@]}"
    find_missing "$@"
  fi
  ((${#missing[@]} == 0)) && return 0
  echo "setup: missing for $reason: ${missing[*]}"
  if command -v apt-get >/dev/null; then
    echo "setup: as root: apt-get install $(for need in "${missing[@]}"; do debian_package_of "$need"; done | xargs)"
  fi
  return 1
}

require() {
  if ! provide "$@"; then
    echo "setup: please install that, then run this again"
    exit 1
  fi
}

wish_for() { provide "$@" || echo "setup: going on without it"; }

require_toolchain() {
  local version
  require "the build" command:c++ command:cmake command:ninja header:fmt/format.h
  version=$(cmake --version | sed -n '1s/[^0-9]*\([0-9.]*\).*/\1/p')
  if [[ $(printf '%s\n' 3.25 "$version" | sort -V | head -n 1) != 3.25 ]]; then
    echo "setup: cmake $version is too old: 3.25 or newer is needed (https://cmake.org/download)"
    exit 1
  fi
}
