# Install rules: the library, a CMake package and a pkg-config file. All of it works from any prefix.

include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/microbatch)

install(TARGETS microbatch EXPORT microbatch-targets FILE_SET HEADERS)
install(EXPORT microbatch-targets NAMESPACE microbatch:: DESTINATION ${package_dir})

if(TARGET microbatch_sqlite)  # the component `sqlite`
  install(TARGETS microbatch_sqlite EXPORT microbatch-sqlite-targets)
  install(EXPORT microbatch-sqlite-targets NAMESPACE microbatch:: DESTINATION ${package_dir})
endif()

if(TARGET microbatch_prometheus)  # the component `prometheus`
  install(TARGETS microbatch_prometheus EXPORT microbatch-prometheus-targets)
  install(EXPORT microbatch-prometheus-targets NAMESPACE microbatch:: DESTINATION ${package_dir})
endif()

if(TARGET microbatch_mqtt)  # the component `mqtt`
  install(TARGETS microbatch_mqtt EXPORT microbatch-mqtt-targets)
  install(EXPORT microbatch-mqtt-targets NAMESPACE microbatch:: DESTINATION ${package_dir})
endif()

if(TARGET microbatch_mongodb)  # the component `mongodb`
  install(TARGETS microbatch_mongodb EXPORT microbatch-mongodb-targets)
  install(EXPORT microbatch-mongodb-targets NAMESPACE microbatch:: DESTINATION ${package_dir})
endif()

configure_package_config_file(
  ${CMAKE_CURRENT_LIST_DIR}/microbatchConfig.cmake.in ${PROJECT_BINARY_DIR}/microbatchConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/microbatchConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/microbatchConfig.cmake
  ${PROJECT_BINARY_DIR}/microbatchConfigVersion.cmake
  DESTINATION ${package_dir})

# A dashboard and alert rules for what the metrics show.
install(FILES
  ${PROJECT_SOURCE_DIR}/packaging/monitoring/alerts.yml
  ${PROJECT_SOURCE_DIR}/packaging/monitoring/dashboard.json
  DESTINATION ${CMAKE_INSTALL_DATADIR}/microbatch)

# pkg-config: the way from the .pc file back to the prefix, so that a moved prefix still works.
set(pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH pc_to_prefix ${CMAKE_INSTALL_PREFIX}/${pc_dir} ${CMAKE_INSTALL_PREFIX})
set(pc_definitions)
if(MICROBATCH_NO_MEMBARRIER)
  set(pc_definitions -DMICROBATCH_NO_MEMBARRIER)
endif()
configure_file(${CMAKE_CURRENT_LIST_DIR}/microbatch.pc.in ${PROJECT_BINARY_DIR}/microbatch.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/microbatch.pc DESTINATION ${pc_dir})
