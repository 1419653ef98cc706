// Whatever stands in a stored batch, its items lie inside of it or it is refused; and a codec gives
// back what it has written, or refuses the bytes.

#include <microbatch/durable/batch_body.hpp>
#include <microbatch/durable/codecs.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using microbatch::detail::BatchBody;

void require(bool holds) {
  if (!holds) std::abort();
}

struct Fixed {
  std::uint32_t a;
  std::uint16_t b;
};

template <class C>
void decode(const C& codec, std::string_view bytes) {
  try {
    std::string again;
    codec.encode(codec.decode(bytes), again);
    require(again == bytes);
  } catch (const std::invalid_argument&) {
  }
}

void read(std::string_view body, std::uint32_t items) {
  try {
    const BatchBody batch(body, items);
    std::string all;
    std::vector<std::uint32_t> ends;
    for (std::uint32_t i = 0; i < batch.items(); ++i) {
      all += batch[i];
      ends.push_back(static_cast<std::uint32_t>(all.size()));
    }
    std::string again;
    BatchBody::write(ends, all, again);
    require(again == body);
  } catch (const microbatch::StorageError&) {
  }
}

/// The bytes cut into items at every byte of this value: what is written can be read.
void write(std::string_view bytes, char cut) {
  std::vector<std::uint32_t> ends;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    if (bytes[i] == cut || i + 1 == bytes.size()) ends.push_back(static_cast<std::uint32_t>(i + 1));
  std::string body;
  BatchBody::write(ends, bytes, body);
  const BatchBody batch(body, static_cast<std::uint32_t>(ends.size()));
  std::string all;
  for (std::uint32_t i = 0; i < batch.items(); ++i) all += batch[i];
  require(all == bytes);
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the fuzzer's name for it
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  decode(microbatch::TextCodec(), bytes);
  decode(microbatch::BytesCodec(), bytes);
  decode(microbatch::TrivialCodec<std::uint64_t>(), bytes);
  std::uint32_t items = 0;
  if (size < sizeof items) return 0;
  std::memcpy(&items, data, sizeof items);
  const std::string_view rest = bytes.substr(sizeof items);
  read(rest, items);
  read(rest, items % 16);
  write(rest, static_cast<char>(data[0]));
  return 0;
}
