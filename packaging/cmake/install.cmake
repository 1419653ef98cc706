# Install rules: the library, a CMake package and pkg-config files. All of it works from any prefix. The install component
# `core` holds the core, NAME what microbatch::NAME adds.

include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/microbatch)
set(pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
# The way from a .pc file back to the prefix, so that a moved prefix still works.
file(RELATIVE_PATH pc_to_prefix ${CMAKE_INSTALL_PREFIX}/${pc_dir} ${CMAKE_INSTALL_PREFIX})

# install_library(TARGET COMPONENT): with its headers and the file that tells CMake of it
function(install_library target component)
  install(TARGETS ${target} EXPORT ${target}-targets
    RUNTIME COMPONENT ${component}
    LIBRARY COMPONENT ${component} NAMELINK_COMPONENT ${component}
    ARCHIVE COMPONENT ${component}
    FILE_SET HEADERS COMPONENT ${component})
  install(EXPORT ${target}-targets NAMESPACE microbatch:: DESTINATION ${package_dir} COMPONENT ${component})
endfunction()

# install_pc(NAME COMPONENT DESCRIPTION REQUIRES CFLAGS LIBS): the file NAME.pc, for the library NAME
function(install_pc pc_name component pc_description pc_requires pc_cflags pc_libs)
  configure_file(${PROJECT_SOURCE_DIR}/packaging/cmake/microbatch.pc.in ${PROJECT_BINARY_DIR}/${pc_name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${pc_name}.pc DESTINATION ${pc_dir} COMPONENT ${component})
endfunction()

# --- the core --------------------------------------------------------------------------------------------------------

install_library(microbatch core)
configure_package_config_file(
  ${CMAKE_CURRENT_LIST_DIR}/microbatchConfig.cmake.in ${PROJECT_BINARY_DIR}/microbatchConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/microbatchConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/microbatchConfig.cmake
  ${PROJECT_BINARY_DIR}/microbatchConfigVersion.cmake
  DESTINATION ${package_dir} COMPONENT core)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT core)

# A dashboard and alert rules for what the metrics show.
install(FILES
  ${PROJECT_SOURCE_DIR}/packaging/monitoring/alerts.yml
  ${PROJECT_SOURCE_DIR}/packaging/monitoring/dashboard.json
  DESTINATION ${CMAKE_INSTALL_DATADIR}/microbatch COMPONENT core)

set(flags -pthread)
if(MICROBATCH_NO_MEMBARRIER)
  string(APPEND flags " -DMICROBATCH_NO_MEMBARRIER")
endif()
install_pc(microbatch core "${PROJECT_DESCRIPTION} (C++20)" "fmt >= 9" "${flags}" -pthread)

# --- its components --------------------------------------------------------------------------------------------------

foreach(component IN LISTS built_components)
  install_library(microbatch_${component} ${component})
  install(FILES ${CMAKE_CURRENT_LIST_DIR}/components/${component}.cmake
    DESTINATION ${package_dir}/components COMPONENT ${component})

  set(requires "microbatch = ${PROJECT_VERSION}")
  set(libs "")
  if(NOT BUILD_SHARED_LIBS)  # then a program links what the component needs, too
    get_target_property(modules microbatch_${component} PKG_CONFIG_MODULES)
    list(JOIN modules ", " modules)
    string(APPEND requires ", ${modules}")
    get_target_property(libs microbatch_${component} PKG_CONFIG_LIBS)
  endif()
  install_pc(microbatch_${component} ${component} "${PROJECT_NAME}'s component ${component}" "${requires}" "" "${libs}")
endforeach()
