# Debian packages: `cpack -G DEB`, see the preset `deb`. libmicrobatch-dev holds the core, libmicrobatch-NAME-dev what a
# component adds.

set(CPACK_PACKAGE_NAME libmicrobatch-dev)
# Whoever hands them out says who answers for them; nobody is invented here.
set(CPACK_PACKAGE_CONTACT "microbatch developers" CACHE STRING "Maintainer that Debian packages name: NAME <ADDRESS>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION} (C++20)")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_PACKAGING_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_STRIP_FILES OFF)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_COMPONENTS_ALL core ${built_components})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ${BUILD_SHARED_LIBS})
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ${BUILD_SHARED_LIBS})  # and have the linker's cache renewed

# Where Debian looks for a package's licence. Of an install into a prefix it is no part.
function(install_copyright package component)
  install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/${package} RENAME copyright
    COMPONENT ${component} EXCLUDE_FROM_ALL)
endfunction()

install_copyright(libmicrobatch-dev core)
set(CPACK_DEBIAN_CORE_PACKAGE_NAME libmicrobatch-dev)
set(CPACK_DEBIAN_CORE_PACKAGE_DEPENDS "libfmt-dev (>= 9)")
set(CPACK_DEBIAN_CORE_DESCRIPTION "${PROJECT_DESCRIPTION}")
foreach(component IN LISTS built_components)
  string(TOUPPER ${component} COMPONENT)
  get_target_property(packages microbatch_${component} DEBIAN_PACKAGES)
  list(JOIN packages ", " packages)
  install_copyright(libmicrobatch-${component}-dev ${component})
  set(CPACK_DEBIAN_${COMPONENT}_PACKAGE_NAME libmicrobatch-${component}-dev)
  set(CPACK_DEBIAN_${COMPONENT}_DESCRIPTION "${PROJECT_DESCRIPTION}\nThe component ${component}: its library and headers.")
  set(CPACK_DEBIAN_${COMPONENT}_PACKAGE_DEPENDS "libmicrobatch-dev (= ${PROJECT_VERSION}), ${packages}")
endforeach()

include(CPack)
