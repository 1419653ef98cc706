# Components: libraries beside the core, each of which needs somebody else's. The file components/NAME.cmake makes one: it looks
# for what NAME needs, and says what that is. It runs here, where microbatch::NAME is built from src/NAME and
# include/microbatch/NAME, and again in the installed package, for who links a static library. Nothing is listed elsewhere.
#
#   links                 the targets to link to; NAME can be built where all of them exist
#   needs                 the same for people
#   debian_packages       the same for apt
#   pkg_config_modules    the same for pkg-config
#   pkg_config_libs       what of it has no module of pkg-config's: -lNAME
#
# MICROBATCH_<NAME> says whether to build it. Afterwards `built_components` names those that are built.

file(GLOB components CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/components/*.cmake)
list(TRANSFORM components REPLACE "^.*/([a-z]+)\\.cmake$" "\\1")

function(microbatch_add_component name)
  string(TOUPPER MICROBATCH_${name} option)
  set(${option} AUTO CACHE STRING "Build microbatch::${name}: ON, OFF, or AUTO (top-level, where what it needs is found)")
  set_property(CACHE ${option} PROPERTY STRINGS AUTO ON OFF)
  if(${option} STREQUAL OFF OR (${option} STREQUAL AUTO AND NOT PROJECT_IS_TOP_LEVEL))
    return()
  endif()

  set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)  # whoever links the component sees what it links to
  include(${PROJECT_SOURCE_DIR}/packaging/cmake/components/${name}.cmake)
  foreach(target IN LISTS links)
    if(NOT TARGET ${target})
      list(JOIN debian_packages " " packages)
      if(${option} STREQUAL AUTO)
        message(STATUS "microbatch::${name} is left out: ${needs} was not found (Debian: ${packages})")
        return()
      endif()
      message(FATAL_ERROR "${option} is ON, but ${needs} was not found (Debian: ${packages})")
    endif()
  endforeach()

  file(GLOB_RECURSE headers CONFIGURE_DEPENDS include/microbatch/${name}/*.hpp)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS src/${name}/*.cpp)
  add_library(microbatch_${name} ${sources})
  add_library(microbatch::${name} ALIAS microbatch_${name})
  target_sources(microbatch_${name} PUBLIC FILE_SET HEADERS BASE_DIRS include FILES ${headers})
  target_link_libraries(microbatch_${name} PUBLIC microbatch PRIVATE ${links})
  if(PROJECT_IS_TOP_LEVEL)
    target_link_libraries(microbatch_${name} PRIVATE $<BUILD_INTERFACE:microbatch_dev>)
  endif()
  set_target_properties(microbatch_${name} PROPERTIES
    EXPORT_NAME ${name}
    CXX_EXTENSIONS OFF
    POSITION_INDEPENDENT_CODE ON
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
    DEBIAN_PACKAGES "${debian_packages}"
    PKG_CONFIG_MODULES "${pkg_config_modules}"
    PKG_CONFIG_LIBS "${pkg_config_libs}")
  set(built_components ${built_components} ${name} PARENT_SCOPE)
endfunction()
