// Catch2 version 2 alone needs this; version 3 brings a main() of its own.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
