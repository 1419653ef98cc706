// Keyed count windows of 1024 with a sum: as a flow, as windows whose callback sums, and as a hash
// map on one thread that sums as they come.

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include <microbatch/microbatch.hpp>

#include "comparison.hpp"

namespace {

constexpr std::size_t window = 1024;

struct Item {
  std::uint64_t key;
  std::uint64_t value;
};
using Items = std::vector<Item>;

/// Keys in no order, so that nothing can be guessed from the one before.
Items make_items(std::size_t n, std::uint64_t keys) {
  Items all(n);
  std::uint64_t state = 1;
  for (std::uint64_t i = 0; i < n; ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    all[i] = {(state >> 33) % keys, i};
  }
  return all;
}
void check(const Items& all, std::uint64_t total) {
  bench::check(total == all.size() * (all.size() - 1) / 2);
}

/// What can be added up as it comes is not kept.
void flow(const Items& all) {
  std::uint64_t total = 0;
  auto flow = microbatch::from(all) | microbatch::by_key(&Item::key) |
              microbatch::window(microbatch::CountWindow{window}) | microbatch::sum(&Item::value) |
              microbatch::to([&](const auto& result) { total += result.value; });
  flow.run();
  check(all, total);
}

void windows(const Items& all) {
  std::uint64_t total = 0;
  microbatch::Stream<Item> stream({.capacity = std::size_t{1} << 21});
  auto consumer =
      microbatch::streaming(stream, microbatch::by_key(&Item::key, microbatch::CountWindow{window}),
                            [&](std::span<const Item> span) {
                              std::uint64_t sum = 0;
                              for (const Item& item : span) sum += item.value;
                              total += sum;
                            });
  {
    auto producer = stream.producer();
    for (const Item& item : all) producer.append(item);
  }
  consumer.close();
  check(all, total);
}

void by_hand(const Items& all) {
  struct Open {
    std::uint64_t sum = 0;
    std::size_t count = 0;
  };
  std::uint64_t total = 0;
  std::unordered_map<std::uint64_t, Open> open;
  for (const Item& item : all) {
    Open& mine = open[item.key];
    mine.sum += item.value;
    if (++mine.count == window) {
      total += mine.sum;
      mine = {};
    }
  }
  for (const auto& [key, mine] : open) total += mine.sum;
  check(all, total);
}

}  // namespace

std::vector<bench::Comparison> bench::keyed_windows(std::size_t items) {
  std::vector<Comparison> comparisons;
  for (const std::uint64_t keys : {1, 1000}) {
    const auto all = std::make_shared<Items>(make_items(items, keys));
    comparisons.push_back({"count windows of 1024 by key with a sum, keys: " + std::to_string(keys),
                           items,
                           {{"flow: by_key | window | sum", [all] { flow(*all); }},
                            {"windows, summed in the callback", [all] { windows(*all); }},
                            {"hash map by hand", [all] { by_hand(*all); }}}});
  }
  return comparisons;
}
