// Counts per tumbling window of event time with 1 % late items, and per hopping window, beside the
// same loop by hand; and what map and filter in front of a window cost.

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include <microbatch/microbatch.hpp>

#include "comparison.hpp"

namespace {

using namespace std::chrono_literals;

constexpr std::int64_t per_second = 100'000;  // of event time
constexpr std::int64_t second = 1'000'000'000;
constexpr std::size_t capacity = std::size_t{1} << 21;

struct Item {
  std::int64_t nanoseconds;
  std::uint64_t value;
};
using Items = std::vector<Item>;
struct When {
  std::chrono::nanoseconds operator()(const Item& item) const noexcept {
    return std::chrono::nanoseconds(item.nanoseconds);
  }
};

/// In order but for 1 %, which come up to two seconds late.
Items make_items(std::size_t n) {
  Items made(n);
  std::uint64_t state = 1;
  for (std::size_t i = 0; i < n; ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    std::int64_t t = 10 * second + static_cast<std::int64_t>(i) * (second / per_second);
    if ((state >> 33) % 100 == 0)
      t -= static_cast<std::int64_t>((state >> 40) % (2 * static_cast<std::uint64_t>(second)));
    made[i] = {t, i};
  }
  return made;
}

microbatch::TumblingWindow<When> tumbling() {
  return {1s, When{}, {.out_of_orderness = 1s, .allowed_lateness = 10s}};
}

void tumbling_windows(const Items& all) {
  std::uint64_t counted = 0;
  microbatch::Stream<Item> stream({.capacity = capacity});
  auto consumer = microbatch::streaming(
      stream, tumbling(), [&](microbatch::Window<Item>& window) { counted += window.size(); });
  {
    auto producer = stream.producer();
    for (const Item& item : all) producer.append(item);
  }
  consumer.close();
  bench::check(counted == all.size());
}

template <class E>
void count(const Items& all, const E& emitter, std::uint64_t windows_per_item) {
  std::uint64_t counted = 0;
  auto flow = microbatch::from(all) | microbatch::window(emitter) | microbatch::count() |
              microbatch::to([&](const auto& result) { counted += result.value; });
  flow.run({.stream = {.capacity = capacity}});
  bench::check(counted == all.size() * windows_per_item);
}
void hopping(const Items& all, int hops) {
  count(all,
        microbatch::HoppingWindow{std::chrono::seconds(hops), 1s, When{}, {.out_of_orderness = 2s}},
        static_cast<std::uint64_t>(hops));
}

/// The same rules, one thread, no queue: a map of open windows, a watermark, late ones apart.
void by_hand(const Items& all) {
  std::uint64_t counted = 0;
  std::uint64_t late = 0;
  std::map<std::int64_t, std::uint64_t> open;
  std::int64_t newest = 0;
  for (const Item& item : all) {
    const std::int64_t cell = item.nanoseconds / second;
    if ((cell + 1) * second <= newest - second)
      ++late;
    else
      ++open[cell];
    if (item.nanoseconds > newest) {
      newest = item.nanoseconds;
      while (!open.empty() && (open.begin()->first + 1) * second <= newest - second) {
        counted += open.begin()->second;
        open.erase(open.begin());
      }
    }
  }
  for (const auto& [cell, n] : open) counted += n;
  bench::check(counted + late == all.size());
}

void map_and_filter(const Items& all) {
  std::uint64_t counted = 0;
  auto flow = microbatch::from(all) |
              microbatch::map([](const Item& item) { return item.value * 2; }) |
              microbatch::filter([](std::uint64_t value) { return value % 4 == 0; }) |
              microbatch::window(microbatch::CountWindow{1024}) |
              microbatch::process([](std::span<const std::uint64_t> span) { return span.size(); }) |
              microbatch::to([&](std::size_t n) { counted += n; });
  flow.run();
  bench::check(counted == (all.size() + 1) / 2);
}
void map_and_filter_by_hand(const Items& all) {
  std::uint64_t counted = 0;
  microbatch::Stream<std::uint64_t> stream;
  auto consumer =
      microbatch::streaming(stream, microbatch::CountWindow{1024},
                            [&](std::span<const std::uint64_t> span) { counted += span.size(); });
  {
    auto producer = stream.producer();
    for (const Item& item : all) {
      const std::uint64_t value = item.value * 2;
      if (value % 4 == 0) producer.append(value);
    }
  }
  consumer.close();
  bench::check(counted == (all.size() + 1) / 2);
}

}  // namespace

std::vector<bench::Comparison> bench::event_time(std::size_t items) {
  const auto all = std::make_shared<Items>(make_items(items));
  return {{"tumbling windows of 1 s of event time, counted, 1 % late",
           items,
           {{"flow: window | count", [all] { count(*all, tumbling(), 1); }},
            {"windows, counted in the callback", [all] { tumbling_windows(*all); }},
            {"by hand", [all] { by_hand(*all); }}}},
          {"hopping windows every second of event time, counted",
           items,
           {{"of 60 s", [all] { hopping(*all, 60); }},
            {"of 10 s", [all] { hopping(*all, 10); }},
            {"of 1 s", [all] { hopping(*all, 1); }}}},
          {"map | filter | window of 1024",
           items,
           {{"flow", [all] { map_and_filter(*all); }},
            {"by hand, into a stream", [all] { map_and_filter_by_hand(*all); }}}}};
}
