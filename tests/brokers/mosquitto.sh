#!/usr/bin/env bash
# A mosquitto broker for tests, on loopback ports of its own.
#
#   mosquitto.sh start FOLDER    starts it, and writes FOLDER/broker
#   mosquitto.sh stop FOLDER     stops it and removes what it wrote
#
# FOLDER/broker says how to reach it, in lines NAME=VALUE (server, tls_server, ca, user, password, expired_server, expired_ca),
# or `unavailable=REASON` where it cannot be had: that is no failure of start, the tests that need it are skipped then. If
# MICROBATCH_TEST_MQTT names a broker that runs already (tcp://host:port), nothing is started. It needs mosquitto and, for TLS,
# openssl.
source "$(dirname "$0")/server.sh"
PATH=$PATH:/usr/sbin:/usr/local/sbin

# One that is good for two days, and the same one with its end in the past.
make_certificates() {
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext "subjectAltName=DNS:localhost" \
    -keyout "$folder/server.key" -out "$folder/ca.pem" 2>/dev/null &&
    openssl x509 -in "$folder/ca.pem" -signkey "$folder/server.key" -days -1 -out "$folder/expired.pem" 2>/dev/null
}

start() {
  rm -f "$folder/broker"
  if [[ -n ${MICROBATCH_TEST_MQTT:-} ]]; then
    echo "server=$MICROBATCH_TEST_MQTT" >"$folder/broker"
    return
  fi
  [[ -f $folder/pid ]] && stop
  command -v mosquitto >/dev/null || unavailable "mosquitto is not installed"
  free_ports 3
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
  if command -v openssl >/dev/null && getent hosts localhost >/dev/null && make_certificates; then
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
listener ${ports[2]} 127.0.0.1
allow_anonymous true
certfile $folder/expired.pem
keyfile $folder/server.key
CONF
  fi
  : >"$folder/server.log"
  if serve "${ports[0]}" 10 mosquitto -c "$folder/mosquitto.conf"; then
    {
      echo "server=tcp://127.0.0.1:${ports[0]}"
      if [[ $tls == yes ]]; then
        echo "tls_server=ssl://localhost:${ports[1]}"
        echo "ca=$folder/ca.pem"
        echo "user=tester"
        echo "password=right"
        echo "expired_server=ssl://localhost:${ports[2]}"
        echo "expired_ca=$folder/expired.pem"
      fi
    } >"$folder/broker"
    echo "mosquitto: runs on 127.0.0.1:${ports[0]}"
    return
  fi
  stop
  unavailable "mosquitto did not start (see $folder/server.log)"
}

stop() {
  end_server
  rm -f "$folder/broker" "$folder/passwords" "$folder/server.key"
}

run_action "$@"
