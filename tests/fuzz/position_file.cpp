// Whatever stands in a position file, it is a position or an error: never a crash, never half of
// one.

#include <microbatch/io/position_file.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "io/rotation.hpp"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the fuzzer's name for it
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    const std::string text = microbatch::PositionFile::decode(bytes);
    require(microbatch::PositionFile::encode(text) == bytes);
  } catch (const microbatch::PositionError&) {
  }
  require(microbatch::PositionFile::decode(microbatch::PositionFile::encode(bytes)) == bytes);
  try {
    const auto position = microbatch::detail::FilePosition::decode(bytes);
    const auto again = microbatch::detail::FilePosition::decode(position.encode());
    require(again.encode() == position.encode());
  } catch (const microbatch::PositionError&) {
  }
  return 0;
}
