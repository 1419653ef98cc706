// Closing, stopping and destroying while producers append.
//
// Allowed:   an append answers `accepted` or `closed`; where to the boundary falls.
// Forbidden: an item whose append answered `accepted` and that is neither delivered nor handed back
//            nor counted; an append that hangs; an item accepted after one that was refused on the
//            same thread.

#include "support/catch.hpp"
#include "support/ledger_checker.hpp"
#include "support/stress.hpp"

#include <microbatch/microbatch.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <optional>

using namespace microbatch;
using namespace std::chrono_literals;
using ledger::Entry;

namespace {

constexpr std::size_t producers = 4;

/// Producers that append until they are refused, and what they were told.
class Crowd {
 public:
  explicit Crowd(Stream<Entry>& stream)
      : accepted_(producers), threads_(producers, [this, &stream](std::uint32_t me) {
          ++ready_;
          std::uint64_t s = 0;
          AppendResult last{};
          if (me % 2 == 0) {
            while ((last = stream.append(Entry::make(me, s))) == AppendResult::accepted) ++s;
          } else {
            auto producer = stream.producer();
            while ((last = producer.append(Entry::make(me, s))) == AppendResult::accepted) ++s;
          }
          if (last != AppendResult::closed) ++not_closed_;
          accepted_[me] = s;
          if (last == AppendResult::closed && stream.append(Entry::make(me, s)) != last) ++again_;
        }) {
    while (ready_ < producers) std::this_thread::yield();
  }
  std::vector<std::uint64_t> accepted() {
    threads_.join();
    return accepted_;
  }
  [[nodiscard]] int accepted_after_closed() const { return again_; }
  [[nodiscard]] int refused_otherwise() const { return not_closed_; }

 private:
  std::atomic<std::size_t> ready_{0};
  std::atomic<int> again_{0};
  std::atomic<int> not_closed_{0};
  std::vector<std::uint64_t> accepted_;
  stress::Threads threads_;
};

enum class End { close, close_in_time, stop, stream_close };

}  // namespace

TEST_CASE("nothing accepted is lost when a consumer ends while producers append", "[stress]") {
  const End end = GENERATE(End::close, End::close_in_time, End::stop, End::stream_close);
  const std::size_t capacity = GENERATE(as<std::size_t>{}, 4, 100, 65'536);
  CAPTURE(static_cast<int>(end), capacity);
  std::string wrong;
  for (std::size_t round = 0; round < stress::scaled(12) && wrong.empty(); ++round) {
    const auto shared = std::make_shared<ledger::Recorder>();  // a callback may outlive stop()
    ledger::Recorder& recorder = *shared;
    Stream<Entry> stream({.capacity = capacity});
    auto consumer =
        streaming(stream, CountWindow{std::min<std::size_t>(capacity, 64)},
                  [shared](Window<Entry>& window) { shared->succeeded(shared->begin(window)); });
    Crowd crowd(stream);
    if (round % 2 == 1) std::this_thread::sleep_for(std::chrono::microseconds(50 * round));
    CloseResult<Entry> result;
    switch (end) {
      case End::close:
        result = consumer.close();
        break;
      case End::close_in_time:
        result = consumer.close(10s);
        break;
      case End::stop:
        result = consumer.stop();
        break;
      case End::stream_close:
        stream.close();
        result = consumer.close();
        break;
    }
    recorder.accepted(crowd.accepted());
    recorder.handed_back(result.handed_back);
    CHECK(crowd.accepted_after_closed() == 0);
    CHECK(crowd.refused_otherwise() == 0);
    const Stats stats = consumer.stats();
    // stop() abandons what is inside a callback, which goes on and writes its call down later.
    if (stats.abandoned != 0) continue;
    wrong = ledger::check(recorder.record(), {.at_most = 64}, stats);
  }
  CHECK(wrong == "");
}

TEST_CASE("every accepted item has an end after stop() while producers append", "[stress]") {
  std::uint64_t lost = 0;
  for (std::size_t round = 0; round < stress::scaled(100); ++round) {
    Stream<int> stream;
    auto consumer = streaming(stream, CountWindow{60'000}, [](Window<int>&) {});
    std::atomic<bool> begun{false};
    std::uint64_t accepted = 0;
    std::jthread producer([&] {
      while (stream.append(1) == AppendResult::accepted) {
        ++accepted;
        begun = true;
      }
    });
    while (!begun) {
    }
    const auto result = consumer.stop();
    producer.join();
    const Stats stats = stream.stats();
    CHECK(stats.accepted == accepted);
    lost += accepted - stats.settled();
  }
  CHECK(lost == 0);
}

TEST_CASE("two threads that close one consumer get the same counts", "[stress]") {
  for (std::size_t round = 0; round < stress::scaled(50); ++round) {
    Stream<int> stream;
    auto consumer = streaming(stream, CountWindow{10}, [](Window<int>&) {});
    for (int i = 0; i < 25; ++i) (void)stream.append(i);
    std::array<CloseResult<int>, 2> results;
    {
      const stress::Threads threads(2, [&](std::uint32_t i) { results[i] = consumer.close(); });
    }
    for (const auto& result : results) {
      CHECK(result.delivered == 25);
      CHECK_FALSE(result.timed_out);
    }
  }
}

TEST_CASE("producers get `closed` while and after their stream is destroyed", "[stress]") {
  const bool with_consumer = GENERATE(false, true);
  for (std::size_t round = 0; round < stress::scaled(60); ++round) {
    auto stream = std::make_unique<Stream<Entry>>(StreamOptions<>{.capacity = 8});
    std::optional<Consumer<Entry>> consumer;
    ledger::Recorder recorder;
    if (with_consumer)
      consumer.emplace(streaming(*stream, CountWindow{4}, [&](Window<Entry>& window) {
        recorder.succeeded(recorder.begin(window));
      }));
    std::vector<Producer<Entry>> handles;
    for (std::size_t i = 0; i < producers; ++i) handles.push_back(stream->producer());
    std::vector<std::uint64_t> accepted(producers);
    std::atomic<std::size_t> ready{0};
    stress::Threads threads(producers, [&](std::uint32_t me) {
      std::uint64_t s = 0;
      ++ready;
      while (handles[me].append(Entry::make(me, s)) == AppendResult::accepted) ++s;
      accepted[me] = s;
    });
    while (ready < producers) std::this_thread::yield();
    stream.reset();
    threads.join();
    for (std::size_t i = 0; i < producers; ++i)
      CHECK(handles[i].append(Entry::make(0, 0)) == AppendResult::closed);
    if (consumer) {
      consumer->close();
      recorder.accepted(accepted);
      CHECK(ledger::check(recorder.record(), {.at_most = 4}, consumer->stats()) == "");
    }
  }
}
