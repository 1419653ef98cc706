# Each of the three packages: the installed one where there is one, else it is fetched. One that a parent project already
# provides is taken as it is. Functions, so that no setting of theirs leaks into the parent.

include(FetchContent)
set(CMAKE_POLICY_DEFAULT_CMP0077 NEW)  # a fetched package's options can be set by plain variables

function(microbatch_provide_fmt)
  if(NOT TARGET fmt::fmt)
    set(FMT_INSTALL ${MICROBATCH_INSTALL})  # our package needs the one that we fetched
    FetchContent_Declare(fmt
      GIT_REPOSITORY https://github.com/fmtlib/fmt.git
      GIT_TAG 10.2.1
      FIND_PACKAGE_ARGS 9)
    FetchContent_MakeAvailable(fmt)
  endif()
endfunction()

# Version 3 or 2; tests/support/catch.hpp hides the difference. Afterwards `include(Catch)` works.
function(microbatch_provide_catch2)
  FetchContent_Declare(Catch2
    GIT_REPOSITORY https://github.com/catchorg/Catch2.git
    GIT_TAG v3.7.1
    FIND_PACKAGE_ARGS)
  FetchContent_MakeAvailable(Catch2)
  if(catch2_SOURCE_DIR)
    list(APPEND CMAKE_MODULE_PATH ${catch2_SOURCE_DIR}/extras)
  endif()
  set(CMAKE_MODULE_PATH ${CMAKE_MODULE_PATH} PARENT_SCOPE)
endfunction()

function(microbatch_provide_benchmark)
  set(BENCHMARK_ENABLE_TESTING OFF)
  set(BENCHMARK_ENABLE_INSTALL OFF)
  FetchContent_Declare(benchmark
    GIT_REPOSITORY https://github.com/google/benchmark.git
    GIT_TAG v1.8.5
    FIND_PACKAGE_ARGS 1.7)
  FetchContent_MakeAvailable(benchmark)
endfunction()
