# microbatch::mqtt: an MQTT source and sink.
find_package(OpenSSL QUIET)  # Paho's package needs it and does not look for it
find_package(eclipse-paho-mqtt-c QUIET)
set(links eclipse-paho-mqtt-c::paho-mqtt3as OpenSSL::SSL)
if(NOT TARGET eclipse-paho-mqtt-c::paho-mqtt3as AND TARGET eclipse-paho-mqtt-c::paho-mqtt3as-static)
  set(links eclipse-paho-mqtt-c::paho-mqtt3as-static OpenSSL::SSL)
endif()
set(needs "Paho's asynchronous C client with TLS, and OpenSSL,")
set(debian_packages libpaho-mqtt-dev libssl-dev)
set(pkg_config_modules openssl)
set(pkg_config_libs -lpaho-mqtt3as)
