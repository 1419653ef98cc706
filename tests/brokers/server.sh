# Sourced by the scripts beside it, each of which starts one server for tests, on loopback ports of its own:
#
#   NAME.sh start FOLDER     starts it, and writes FOLDER/broker
#   NAME.sh stop FOLDER      stops it
#
# FOLDER/broker says how to reach it, in lines NAME=VALUE, or `unavailable=REASON` where it cannot be had: that is no failure
# of start, the tests that need it are skipped then.
#
# Leaves $name, $here (this folder) and $folder; the script defines start() and stop() and ends with run_action "$@".
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
name=$(basename "$0" .sh)
[[ $# == 2 ]] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" && exit 2; }
mkdir -p "$2"
folder=$(cd "$2" && pwd)

unavailable() {
  echo "$name: skipped, because $1"
  echo "unavailable=$1" >"$folder/broker"
  exit 0
}

# Distinct ports that nobody listens on, below those that the system gives out by itself, into `ports`.
free_ports() {
  local port
  ports=()
  while ((${#ports[@]} < $1)); do
    port=$((20000 + RANDOM % 10000))
    [[ " ${ports[*]} " == *" $port "* ]] && continue
    (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && continue
    ports+=("$port")
  done
}

# fetch POM NAME SECONDS WHAT: the jars of a Maven project, once, into $library, in the user's cache.
fetch() {
  library=${XDG_CACHE_HOME:-$HOME/.cache}/microbatch/$2
  [[ -d $library ]] && return
  command -v mvn >/dev/null || unavailable "mvn (Maven), which fetches $4, is not installed"
  mkdir -p "${library%/*}"
  local partial
  partial=$(mktemp -d "$library.XXXXXX")
  if ! timeout "$3" mvn -q -B -f "$1" dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$partial" \
    >"$folder/fetch.log" 2>&1; then
    rm -rf "$partial"
    unavailable "$4 could not be fetched (see $folder/fetch.log)"
  fi
  mv -T "$partial" "$library" 2>/dev/null || rm -rf "$partial"  # somebody else was faster
}

# serve PORT SECONDS COMMAND...: starts a server that outlives us; false if it does not listen on the port by then.
# What waits for our output must not wait for it.
serve() {
  local port=$1 tries=$((10 * $2)) i
  shift 2
  setsid bash -c 'echo $$ >"$0/pid"; exec "$@"' "$folder" "$@" >>"$folder/server.log" 2>&1 </dev/null &
  for ((i = 0; i < tries; i++)); do
    (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return
    [[ -f $folder/pid ]] && ! kill -0 "$(<"$folder/pid")" 2>/dev/null && return 1
    sleep 0.1
  done
  return 1
}

# Asks the server to end, and ends it where it does not within five seconds.
end_server() {
  [[ -f $folder/pid ]] || return 0
  local pid i
  pid=$(<"$folder/pid")
  kill "$pid" 2>/dev/null
  for ((i = 0; i < 50; i++)); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null
  rm -f "$folder/pid"
}

run_action() {
  case $1 in
    start) start ;;
    stop) stop ;;
    *) exit 2 ;;
  esac
}
