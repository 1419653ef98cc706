// Event-time windows over a durable stream that is opened, fed and ended again and again, at random
// points of a random script, with its state in the same store; against the same plain slow model as
// in windows.cpp. A life begins with what the lives before it have left pending.
//
// In every life: a window that was committed holds exactly what the model says for the items that
// this life has seen. At every end: the state is that of the committed windows, and the store's
// ledger tells as many items. In the end every item was committed, and once where windows do not
// overlap.

#include <microbatch/durable/batch_body.hpp>
#include <microbatch/durable/durable_streaming.hpp>
#include <microbatch/durable/memory_storage.hpp>
#include <microbatch/emitters/by_key.hpp>
#include <microbatch/emitters/hopping_window.hpp>
#include <microbatch/emitters/session_window.hpp>
#include <microbatch/emitters/tumbling_window.hpp>
#include <microbatch/executors/thread_pool.hpp>
#include <microbatch/sqlite/durable_stream.hpp>
#include <microbatch/sqlite/table.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/folder.hpp"
#include "support/stress.hpp"
#include "support/window_model.hpp"

using namespace microbatch;
using namespace model;
using namespace std::chrono_literals;

namespace {

/// The stores, and the state in them: which windows were committed, and how many items of each key.
/// Made anew for each life, as a new process would; a callback that was given up keeps its own.
struct MemoryState {
  using Storage = MemoryStorage;
  using Window = DurableWindow<Event, Storage>;
  using Place = std::shared_ptr<Storage>;
  static Place make_place() { return std::make_shared<Storage>(); }

  explicit MemoryState(const Place& place) : storage(place) {}
  static void add(Window& window, int number) {
    window.transaction().add("window " + std::to_string(number), 1);
    for (const Event& event : window)
      window.transaction().add("key " + std::to_string(event.key), 1);
  }
  [[nodiscard]] bool has(int number) const {
    return storage->total("window " + std::to_string(number)) > 0;
  }
  [[nodiscard]] std::int64_t count(int key) const {
    return storage->total("key " + std::to_string(key));
  }

  std::shared_ptr<Storage> storage;
};
struct FileState {
  using Storage = sqlite::Storage;
  using Window = DurableWindow<Event, Storage>;
  using Place = std::unique_ptr<test::Folder>;
  static Place make_place() { return std::make_unique<test::Folder>(); }

  explicit FileState(const Place& place)
      : file(std::make_shared<sqlite::Database>(place->file("test.db"))),
        storage(std::make_shared<Storage>(
            file, "events", Storage::StreamSettings{.codec = DefaultCodec<Event>{}.name()})),
        windows(file, "windows"),
        counts(file, "counts") {}
  void add(Window& window, int number) {
    windows.transaction(window, [&](auto& rows) { rows[number] = 1; });
    counts.transaction(window, [&](auto& rows) {
      for (const Event& event : window) ++rows[event.key];
    });
  }
  [[nodiscard]] bool has(int number) const { return windows.get(number).has_value(); }
  [[nodiscard]] std::int64_t count(int key) const { return counts.get(key).value_or(0); }

  std::shared_ptr<sqlite::Database> file;
  std::shared_ptr<Storage> storage;
  sqlite::Table<int, std::int64_t> windows;
  sqlite::Table<int, std::int64_t> counts;
};

/// What the callback has seen, committed or not. Threads: any; a callback that was given up may
/// still run.
class Attempts {
 public:
  struct Attempt {
    int number;
    Group group;
    std::vector<int> ids;
  };
  template <class W>
  int add(const W& window) {
    std::lock_guard lock(mutex_);
    Attempt attempt{next_++, group_of(window), {}};
    for (const Event& event : window) attempt.ids.push_back(event.id);
    std::sort(attempt.ids.begin(), attempt.ids.end());
    attempts_.push_back(std::move(attempt));
    return attempts_.back().number;
  }
  [[nodiscard]] std::vector<Attempt> take() {
    std::lock_guard lock(mutex_);
    return std::exchange(attempts_, {});
  }

 private:
  std::mutex mutex_;
  int next_ = 0;
  std::vector<Attempt> attempts_;
};

template <class S>
std::vector<Event> pending_in(S& storage) {
  std::vector<StoredBatch> batches;
  storage.load(0, std::size_t{1} << 30, batches);
  std::vector<Event> events;
  for (const StoredBatch& batch : batches) {
    const detail::BatchBody body(batch.body, batch.items);
    for (std::uint32_t i = 0; i < batch.items; ++i)
      if (batch.settled.empty() || !batch.settled[i])
        events.push_back(DefaultCodec<Event>{}.decode(body[i]));
  }
  return events;
}

enum class End { stop_at_once, stop_when_loaded, close_when_loaded };

template <class State, class E, class Model>
void live(std::uint64_t seed, const E& emitter, Model&& model, const Script& script,
          bool overlaps) {
  const typename State::Place place = State::make_place();
  std::mt19937_64 random(seed);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  const auto attempts = std::make_shared<Attempts>();
  std::vector<int> committed;           // ids, copies of overlapping windows included
  std::map<int, std::int64_t> counted;  // by key
  std::size_t next = 0;
  for (bool last = false; !last;) {
    last = next == script.events.size() || below(6) == 0;
    Script life = script;
    const auto state = std::make_shared<State>(place);
    life.events = pending_in(*state->storage);
    DurableStream<Event, typename State::Storage> stream(state->storage);
    auto pool = std::make_unique<ThreadPool>(1);
    std::optional consumer(streaming(stream, emitter,
                                     [state, attempts](typename State::Window& window) {
                                       state->add(window, attempts->add(window));
                                     },
                                     {.executor = *pool}));
    const std::size_t until =
        last ? script.events.size() : next + below(1 + script.events.size() - next);
    while (next < until) {
      const std::size_t some = 1 + below(until - next);
      std::vector<Event> events(script.events.begin() + static_cast<std::ptrdiff_t>(next),
                                script.events.begin() + static_cast<std::ptrdiff_t>(next + some));
      stream.append_range(events, written).get();
      life.events.insert(life.events.end(), events.begin(), events.end());
      next += some;
    }
    const End end = last ? End::close_when_loaded : static_cast<End>(below(3));
    if (end != End::stop_at_once)
      while (consumer->stats().accepted < life.events.size()) std::this_thread::sleep_for(1ms);
    if (end == End::close_when_loaded)
      (void)consumer->close();
    else
      (void)consumer->stop();
    life.events.resize(consumer->stats().accepted);  // what it has seen
    consumer.reset();
    pool.reset();  // a callback that was given up has ended here, and committed, or not

    // Exactly what the model says; only that late ones of a window may come in several parts, and
    // that a life which was stopped has not committed everything.
    const Groups said = model(life);
    Groups real;
    for (const auto& attempt : attempts->take()) {
      if (!state->has(attempt.number)) continue;
      auto& ids = real[attempt.group];
      ids.insert(ids.end(), attempt.ids.begin(), attempt.ids.end());
      std::sort(ids.begin(), ids.end());
      committed.insert(committed.end(), attempt.ids.begin(), attempt.ids.end());
      for (const int id : attempt.ids) ++counted[script.events[static_cast<std::size_t>(id)].key];
    }
    if (end == End::close_when_loaded) {
      REQUIRE(difference(real, said) == "");
    } else {
      for (const auto& [group, ids] : real) {
        const auto whole = said.find(group);
        REQUIRE(whole != said.end());
        if (std::get<0>(group) == Reason::watermark)
          REQUIRE(ids == whole->second);
        else
          REQUIRE(
              std::includes(whole->second.begin(), whole->second.end(), ids.begin(), ids.end()));
      }
    }
    // State and input in step.
    for (const auto& [key, n] : counted) REQUIRE(state->count(key) == n);
    const StoredCounts stored = stream.stored();
    REQUIRE(stored.delivered + stored.pending == next);
    REQUIRE(stored.pending == pending_in(*state->storage).size());
    if (!overlaps) REQUIRE(stored.delivered == committed.size());
    if (last) REQUIRE(stored.pending == 0);
  }
  const std::set<int> distinct(committed.begin(), committed.end());
  REQUIRE(distinct.size() == script.events.size());
}

template <class State>
void check(std::uint64_t seed) {
  Script script = make_script(seed);
  script.max_jump = 0;  // it depends on the time that passes here
  const auto size = std::chrono::seconds(script.size);
  const HoppingWindow hopping{size, std::chrono::seconds(script.hop), when, script.rules()};
  const SessionWindow sessions{std::chrono::seconds(script.gap), when, script.rules()};
  const bool overlaps = script.size != script.hop;
  INFO("size " << script.size << " hop " << script.hop << " gap " << script.gap << " disorder "
               << script.disorder << " lateness " << script.lateness);
  if (script.keyed) {
    live<State>(seed, by_key(&Event::key, hopping), of_grid, script, overlaps);
    live<State>(seed, by_key(&Event::key, sessions), of_sessions, script, false);
  } else {
    live<State>(seed, hopping, of_grid, script, overlaps);
    live<State>(seed, sessions, of_sessions, script, false);
    script.hop = script.size;
    live<State>(seed, TumblingWindow{size, when, script.rules()}, of_grid, script, false);
  }
}

template <class State>
void check_many(std::size_t scripts) {
  if (const char* seed = std::getenv("MICROBATCH_SEED")) return check<State>(std::stoull(seed));
  for (std::size_t i = 0; i < scripts; ++i) {
    const std::uint64_t seed = stress::seed() + i;
    INFO("MICROBATCH_SEED=" << seed);
    check<State>(seed);
  }
}

}  // namespace

TEST_CASE("event-time windows over restarts hold what a plain model says", "[property]") {
  check_many<MemoryState>(stress::scaled(30));
}
TEST_CASE("event-time windows over restarts hold what a plain model says, in a file",
          "[property]") {
  check_many<FileState>(stress::scaled(5));
}
