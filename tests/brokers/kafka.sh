#!/usr/bin/env bash
# An Apache Kafka broker for tests, on loopback ports of its own.
#
#   kafka.sh start FOLDER    fetches it (once), starts it, and writes FOLDER/broker
#   kafka.sh stop FOLDER     stops it and removes what it wrote
#
# FOLDER/broker says how to reach it, in lines NAME=VALUE (bootstrap, sasl_ssl, ca, user, password, proxied, behind_proxy), or
# `unavailable=REASON` where it cannot be had: that is no failure of start, the tests that need it are skipped then. If
# MICROBATCH_TEST_KAFKA names a broker that runs already (host:port), nothing is started.
#
# It needs java 17 or newer, mvn (Maven) and, for the first time, a network. The programs are kept in
# ${XDG_CACHE_HOME:-~/.cache}/microbatch.
source "$(dirname "$0")/server.sh"

run_java() { java -Xmx512m -cp "$library/*" "-Dlog4j.configuration=file:$folder/log4j.properties" "$@"; }

make_certificates() {
  local made=(-keystore "$folder/server.p12" -storetype PKCS12 -storepass changeit -alias server)
  keytool -genkeypair "${made[@]}" -keyalg RSA -validity 2 -dname CN=localhost \
    -ext san=dns:localhost,ip:127.0.0.1 2>/dev/null &&
    keytool -exportcert -rfc "${made[@]}" -file "$folder/ca.pem" 2>/dev/null
}

configure() {
  local loopback=127.0.0.1
  free_ports 5
  bootstrap=$loopback:${ports[0]}
  cat >"$folder/log4j.properties" <<LOG
log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d %p %m (%c)%n
LOG
  # A listener whose advertised address is a proxy, which the tests play.
  cat >"$folder/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@$loopback:${ports[1]}
listeners=PLAINTEXT://$bootstrap,CONTROLLER://$loopback:${ports[1]},SASL_SSL://$loopback:${ports[2]},PROXIED://$loopback:${ports[3]}
advertised.listeners=PLAINTEXT://$bootstrap,SASL_SSL://localhost:${ports[2]},PROXIED://$loopback:${ports[4]}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,PROXIED:PLAINTEXT
ssl.keystore.location=$folder/server.p12
ssl.keystore.password=changeit
ssl.keystore.type=PKCS12
listener.name.sasl_ssl.sasl.enabled.mechanisms=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_tester="right";
log.dirs=$folder/data
num.partitions=1
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
num.network.threads=2
num.io.threads=4
PROPERTIES
}

start() {
  rm -rf "$folder/broker" "$folder/data"
  if [[ -n ${MICROBATCH_TEST_KAFKA:-} ]]; then
    echo "bootstrap=$MICROBATCH_TEST_KAFKA" >"$folder/broker"
    return
  fi
  [[ -f $folder/pid ]] && stop
  command -v java >/dev/null && command -v keytool >/dev/null || unavailable "java is not installed"
  local version
  version=$(sed -n '/kafka_2.13/,/version/s/.*<version>\(.*\)<.*/\1/p' "$here/kafka/pom.xml")
  fetch "$here/kafka/pom.xml" "kafka-$version" 300 "Apache Kafka"
  configure
  make_certificates || unavailable "keytool could not make a certificate"
  run_java kafka.tools.StorageTool format -t bWljcm9iYXRjaC10ZXN0cw -c "$folder/server.properties" >"$folder/server.log" 2>&1 ||
    unavailable "Apache Kafka could not format its store (see $folder/server.log)"
  if serve "${ports[0]}" 60 java -Xmx512m -XX:TieredStopAtLevel=1 -cp "$library/*" \
    "-Dlog4j.configuration=file:$folder/log4j.properties" kafka.Kafka "$folder/server.properties"; then
    {
      echo "bootstrap=$bootstrap"
      echo "sasl_ssl=localhost:${ports[2]}"
      echo "ca=$folder/ca.pem"
      echo "user=tester"
      echo "password=right"
      echo "proxied=127.0.0.1:${ports[4]}"
      echo "behind_proxy=127.0.0.1:${ports[3]}"
    } >"$folder/broker"
    echo "kafka: runs on $bootstrap"
    return
  fi
  stop
  unavailable "Apache Kafka did not start (see $folder/server.log)"
}

stop() {
  if [[ -f $folder/pid ]]; then
    kill -9 "$(<"$folder/pid")" 2>/dev/null  # its data go, too
    rm -f "$folder/pid"
  fi
  rm -rf "$folder/data" "$folder/server.p12" "$folder/broker"
}

run_action "$@"
