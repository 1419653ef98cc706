# microbatch::prometheus: an HTTP endpoint for Prometheus.
find_package(prometheus-cpp QUIET)
set(links prometheus-cpp::pull)
set(needs "prometheus-cpp")
set(debian_packages prometheus-cpp-dev)
set(pkg_config_modules prometheus-cpp-pull)
