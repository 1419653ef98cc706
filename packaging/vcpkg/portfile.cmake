# An overlay port of this checkout: vcpkg install microbatch --overlay-ports=packaging/vcpkg
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)

# A component is a feature; whatever is no feature asked for is off, also where its library is on the machine.
set(component_options "")
file(GLOB components "${SOURCE_PATH}/packaging/cmake/components/*.cmake")
foreach(component IN LISTS components)
  cmake_path(GET component STEM component)
  string(TOUPPER "${component}" option)
  if(component IN_LIST FEATURES)
    list(APPEND component_options -DMICROBATCH_${option}=ON)
  else()
    list(APPEND component_options -DMICROBATCH_${option}=OFF)
  endif()
endforeach()

vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS
    ${component_options}
    -DMICROBATCH_BUILD_TESTS=OFF
    -DMICROBATCH_BUILD_BENCH=OFF
    -DMICROBATCH_BUILD_EXAMPLES=OFF)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH lib/cmake/microbatch)
vcpkg_fixup_pkgconfig()

file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include" "${CURRENT_PACKAGES_DIR}/debug/share")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
