#!/usr/bin/env bash
# A mosquitto broker for tests, on loopback ports of its own.
#
#   mosquitto.sh start FOLDER    starts it, and writes FOLDER/broker
#   mosquitto.sh stop FOLDER     stops it and removes what it wrote
#
# FOLDER/broker says how to reach it, in lines NAME=VALUE (server, tls_server, ca, user, password), or `unavailable=REASON`
# where it cannot be had: that is no failure of start, the tests that need it are skipped then. If MICROBATCH_TEST_MQTT names
# a broker that runs already (tcp://host:port), nothing is started. It needs mosquitto and, for TLS, openssl.
set -uo pipefail
[[ $# == 2 ]] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" && exit 2; }
mkdir -p "$2"
folder=$(cd "$2" && pwd)
PATH=$PATH:/usr/sbin:/usr/local/sbin

unavailable() {
  echo "mosquitto: skipped, because $1"
  echo "unavailable=$1" >"$folder/broker"
  exit 0
}

# Distinct ports that nobody listens on, below those that the system gives out by itself.
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

make_certificate() {
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext "subjectAltName=DNS:localhost" \
    -keyout "$folder/server.key" -out "$folder/ca.pem" 2>/dev/null
}

start() {
  rm -f "$folder/broker"
  if [[ -n ${MICROBATCH_TEST_MQTT:-} ]]; then
    echo "server=$MICROBATCH_TEST_MQTT" >"$folder/broker"
    return
  fi
  [[ -f $folder/pid ]] && stop
  command -v mosquitto >/dev/null || unavailable "mosquitto is not installed"
  free_ports 2
  cat >"$folder/mosquitto.conf" <<CONF
per_listener_settings true
user $(id -un)
persistence false
max_inflight_messages 0
max_queued_messages 0
listener ${ports[0]} 127.0.0.1
allow_anonymous true
CONF
  local tls=no
  # (Some bare systems do not know localhost, which the certificate is for.)
  if command -v openssl >/dev/null && getent hosts localhost >/dev/null && make_certificate; then
    tls=yes
    : >"$folder/passwords"
    chmod 600 "$folder/passwords"
    mosquitto_passwd -b "$folder/passwords" tester right
    cat >>"$folder/mosquitto.conf" <<CONF
listener ${ports[1]} 127.0.0.1
allow_anonymous false
password_file $folder/passwords
certfile $folder/ca.pem
keyfile $folder/server.key
CONF
  fi
  # It must outlive us, and what waits for our output must not wait for it.
  setsid bash -c 'echo $$ >"$0/pid"; exec mosquitto -c "$0/mosquitto.conf"' "$folder" \
    >"$folder/server.log" 2>&1 </dev/null &
  local i
  for ((i = 0; i < 100; i++)); do
    if (: <"/dev/tcp/127.0.0.1/${ports[0]}") 2>/dev/null; then
      {
        echo "server=tcp://127.0.0.1:${ports[0]}"
        if [[ $tls == yes ]]; then
          echo "tls_server=ssl://localhost:${ports[1]}"
          echo "ca=$folder/ca.pem"
          echo "user=tester"
          echo "password=right"
        fi
      } >"$folder/broker"
      echo "mosquitto: runs on 127.0.0.1:${ports[0]}"
      return
    fi
    sleep 0.1
  done
  stop
  unavailable "mosquitto did not start (see $folder/server.log)"
}

stop() {
  if [[ -f $folder/pid ]]; then
    local pid i
    pid=$(<"$folder/pid")
    kill "$pid" 2>/dev/null
    for ((i = 0; i < 50; i++)); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null
    rm -f "$folder/pid"
  fi
  rm -f "$folder/broker" "$folder/passwords" "$folder/server.key"
}

case $1 in
  start) start ;;
  stop) stop ;;
  *) exit 2 ;;
esac
