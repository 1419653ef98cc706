// Event-time windows, by key and not, against a plain slow model: random times, disorder, lateness
// and keys, swept in random portions. Each window must hold exactly the items that the model says,
// and each item must end once.

#include <microbatch/microbatch.hpp>
#include <microbatch/testing/manual_clock.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "support/catch.hpp"
#include "support/stress.hpp"

using namespace microbatch;

namespace {

struct Event {
  int id;
  int t;  // seconds; negative: none
  int key;
};
std::chrono::seconds when(const Event& event) { return std::chrono::seconds(event.t); }

struct Script {
  std::vector<Event> events;
  int size = 0;
  int hop = 0;
  int gap = 0;
  int disorder = 0;
  int lateness = 0;
  bool keyed = false;
  std::vector<int> portions;  // how many events between two steps of the engine

  [[nodiscard]] EventTimeOptions rules() const {
    return {.out_of_orderness = std::chrono::seconds(disorder),
            .allowed_lateness = std::chrono::seconds(lateness),
            .max_jump = Duration::max()};
  }
};

Script make_script(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  Script script;
  script.hop = 1 + below(8);
  script.size = script.hop + (below(3) == 0 ? 0 : below(15));
  script.gap = 1 + below(6);
  script.disorder = below(8);
  script.lateness = below(3) == 0 ? 0 : below(20);
  script.keyed = below(2) == 0;
  const int events = 1 + below(150);
  int now = below(50);
  for (int id = 0; id < events; ++id) {
    now += below(3);
    int t = now - below(1 + 2 * script.disorder);
    if (below(20) == 0) t = now - below(60);  // late
    if (below(40) == 0) t = -1;               // none
    script.events.push_back({id, std::max(t, -1), script.keyed ? below(4) : 0});
  }
  for (int left = events; left > 0;) {
    script.portions.push_back(1 + below(below(4) == 0 ? events : 5));
    left -= script.portions.back();
  }
  return script;
}

/// Reason, key, begin, end -> ids. Late ones of the same window count as one.
using Group = std::tuple<Reason, int, int, int>;
using Groups = std::map<Group, std::vector<int>>;

constexpr int unbounded = -1000;

template <class E>
Groups run(const Script& script, E emitter, Stats& stats) {
  Groups groups;
  testing::ManualClock clock;
  Stream<Event> stream({.clock = clock});
  Engine<Event> engine(stream, std::move(emitter), [&](Window<Event>& window) {
    Group group{window.reason(), window.has_key() ? window.key<int>() : 0, unbounded, unbounded};
    if (const auto& bounds = window.event_bounds()) {
      std::get<2>(group) =
          static_cast<int>(bounds->begin.time_since_epoch() / std::chrono::seconds(1));
      std::get<3>(group) =
          static_cast<int>(bounds->end.time_since_epoch() / std::chrono::seconds(1));
    }
    for (const Event& event : window) groups[group].push_back(event.id);
  });
  std::size_t next = 0;
  for (const int portion : script.portions) {
    for (int i = 0; i < portion && next < script.events.size(); ++i)
      REQUIRE(stream.append(script.events[next++]) == AppendResult::accepted);
    engine.step(clock.now());
  }
  engine.close();
  engine.step(clock.now());
  REQUIRE(engine.finished());
  stats = engine.stats();
  for (auto& [group, ids] : groups) std::sort(ids.begin(), ids.end());
  return groups;
}

int floor_to(int t, int step) {
  return t >= 0 ? t / step * step : -((-t + step - 1) / step * step);
}

/// For each item in the order of arrival: which watermark does it meet; which windows that are not
/// over by then hold it?
Groups model_of_grid(const Script& script) {
  Groups groups;
  int watermark = -100'000;
  for (const Event& event : script.events) {
    if (event.t < 0) {
      groups[{Reason::unplaced, 0, unbounded, unbounded}].push_back(event.id);
      continue;
    }
    const int last = floor_to(event.t, script.hop);
    if (watermark >= last + script.size) {
      if (watermark >= last + script.size + script.lateness)
        groups[{Reason::too_late, 0, unbounded, unbounded}].push_back(event.id);
      else
        groups[{Reason::late, event.key, last, last + script.size}].push_back(event.id);
    } else {
      for (int begin = last; begin + script.size > event.t; begin -= script.hop)
        if (watermark < begin + script.size)
          groups[{Reason::watermark, event.key, begin, begin + script.size}].push_back(event.id);
    }
    watermark = std::max(watermark, event.t - script.disorder);
  }
  // Those that no watermark has passed leave by the close.
  Groups ended;
  for (auto& [group, ids] : groups) {
    Group as = group;
    if (std::get<0>(as) == Reason::watermark && std::get<3>(as) > watermark)
      std::get<0>(as) = Reason::close;
    ended[as] = ids;
  }
  return ended;
}

Groups model_of_sessions(const Script& script) {
  struct Session {
    int key, begin, end;
    std::vector<int> ids;
  };
  std::vector<Session> open;
  Groups groups;
  int watermark = -100'000;
  const auto leave = [&](Reason reason, Session& session) {
    auto& ids = groups[{reason, session.key, session.begin, session.end}];
    ids.insert(ids.end(), session.ids.begin(), session.ids.end());
  };
  for (const Event& event : script.events) {
    if (event.t < 0) {
      groups[{Reason::unplaced, 0, unbounded, unbounded}].push_back(event.id);
      continue;
    }
    Session mine{event.key, event.t, event.t + script.gap, {event.id}};
    bool joined = false;
    for (auto other = open.begin(); other != open.end();) {
      if (other->key != mine.key || other->begin >= mine.end || other->end <= mine.begin) {
        ++other;
        continue;
      }
      joined = true;
      mine.begin = std::min(mine.begin, other->begin);
      mine.end = std::max(mine.end, other->end);
      mine.ids.insert(mine.ids.end(), other->ids.begin(), other->ids.end());
      other = open.erase(other);
    }
    if (!joined && watermark >= event.t + script.gap) {
      if (watermark >= event.t + script.gap + script.lateness)
        groups[{Reason::too_late, 0, unbounded, unbounded}].push_back(event.id);
      else
        leave(Reason::late, mine);
    } else {
      open.push_back(mine);
    }
    watermark = std::max(watermark, event.t - script.disorder);
    for (auto session = open.begin(); session != open.end();) {
      if (session->end > watermark) {
        ++session;
        continue;
      }
      leave(Reason::watermark, *session);
      session = open.erase(session);
    }
  }
  for (Session& session : open) leave(Reason::close, session);
  for (auto& [group, ids] : groups) std::sort(ids.begin(), ids.end());
  return groups;
}

/// What stands in the one and not, or otherwise, in the other.
std::string difference(const Groups& real, const Groups& model) {
  std::string text;
  const auto tell = [&](const char* whose, const Groups& mine, const Groups& others) {
    for (const auto& [group, ids] : mine) {
      const auto other = others.find(group);
      if (other != others.end() && other->second == ids) continue;
      const auto& [reason, key, begin, end] = group;
      text += fmt::format("{}: {} key {} {}-{}: {}\n", whose, to_string(reason), key, begin, end,
                          fmt::join(ids, " "));
    }
  };
  tell("real ", real, model);
  tell("model", model, real);
  return text;
}

void check(const Script& script) {
  Stats stats;
  const auto same_as = [&](const Groups& real, const Groups& model) {
    INFO("size " << script.size << " hop " << script.hop << " gap " << script.gap << " disorder "
                 << script.disorder << " lateness " << script.lateness);
    REQUIRE(difference(real, model) == "");
    REQUIRE(stats.balances());
    REQUIRE(stats.delivered == script.events.size());
  };
  const auto size = std::chrono::seconds(script.size);
  const auto hop = std::chrono::seconds(script.hop);
  const HoppingWindow windows{size, hop, when, script.rules()};
  const SessionWindow sessions{std::chrono::seconds(script.gap), when, script.rules()};
  if (script.keyed) {
    same_as(run(script, by_key(&Event::key, windows), stats), model_of_grid(script));
    same_as(run(script, by_key(&Event::key, sessions), stats), model_of_sessions(script));
  } else {
    same_as(run(script, windows, stats), model_of_grid(script));
    same_as(run(script, sessions, stats), model_of_sessions(script));
  }
  if (script.size == script.hop && !script.keyed)
    same_as(run(script, TumblingWindow{size, when, script.rules()}, stats), model_of_grid(script));
}

}  // namespace

TEST_CASE("event-time windows hold what a plain model says", "[property]") {
  if (const char* seed = std::getenv("MICROBATCH_SEED")) {
    check(make_script(std::stoull(seed)));
    return;
  }
  std::random_device device;
  const std::size_t scripts = stress::scaled(300);
  for (std::size_t i = 0; i < scripts; ++i) {
    const std::uint64_t seed = (std::uint64_t{device()} << 32) | device();
    INFO("MICROBATCH_SEED=" << seed);
    check(make_script(seed));
  }
}
