#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../concepts/storage.hpp"

namespace microbatch::inline v0_1::detail {

/// The bytes of a stored batch: for each item where it ends (32 bits, little-endian, counted from
/// the end of this table), then the items' own bytes, one behind the other.
class BatchBody {
 public:
  static constexpr std::size_t max_bytes = std::size_t{1} << 29;

  /// The table for items that end at these offsets.
  static void write(const std::vector<std::uint32_t>& ends, std::string_view bytes,
                    std::string& out) {
    out.assign(reinterpret_cast<const char*>(ends.data()), ends.size() * sizeof(std::uint32_t));
    out += bytes;
  }

  /// Checks it all: StorageError for a body that write() cannot have written.
  BatchBody(std::string_view body, std::uint32_t items) : items_(items) {
    const std::size_t table = std::size_t{items} * sizeof(std::uint32_t);
    if (items > max_batch_items || body.size() < table)
      throw StorageError(
          fmt::format("corrupt: a batch of {} items in {} bytes", items, body.size()));
    ends_ = body.substr(0, table);
    bytes_ = body.substr(table);
    std::uint32_t last = 0;
    for (std::uint32_t i = 0; i < items; ++i) {
      const std::uint32_t end = end_of(i);
      if (end < last || end > bytes_.size())
        throw StorageError(fmt::format("corrupt: item {} of a batch of {} ends at byte {} of {}", i,
                                       items, end, bytes_.size()));
      last = end;
    }
    if (last != bytes_.size())
      throw StorageError(
          fmt::format("corrupt: a batch's last item ends at byte {} of {}", last, bytes_.size()));
  }

  [[nodiscard]] std::uint32_t items() const noexcept { return items_; }
  [[nodiscard]] std::string_view operator[](std::uint32_t i) const noexcept {
    const std::uint32_t begin = i == 0 ? 0 : end_of(i - 1);
    return bytes_.substr(begin, end_of(i) - begin);
  }

 private:
  [[nodiscard]] std::uint32_t end_of(std::uint32_t i) const noexcept {
    std::uint32_t end;
    std::memcpy(&end, ends_.data() + std::size_t{i} * sizeof end, sizeof end);
    return end;
  }

  std::string_view ends_;
  std::string_view bytes_;
  std::uint32_t items_;
};

}  // namespace microbatch::inline v0_1::detail
