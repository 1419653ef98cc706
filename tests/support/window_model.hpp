#pragma once

#include <microbatch/core/event_time.hpp>
#include <microbatch/emitters/watermark.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

/// Event-time windows in plain slow code, and random scripts to compare with it.
namespace model {

using microbatch::EventTimeOptions;
using microbatch::Reason;

struct Event {
  int id;
  int t;  // seconds; negative: none
  int key;
};
inline std::chrono::seconds when(const Event& event) { return std::chrono::seconds(event.t); }

struct Script {
  std::vector<Event> events;
  int size = 0;
  int hop = 0;
  int gap = 0;
  int disorder = 0;
  int lateness = 0;
  int max_jump = 0;  // 0: any
  bool keyed = false;
  std::vector<int> portions;  // how many events between two steps of the engine

  [[nodiscard]] EventTimeOptions rules() const {
    return {
        .out_of_orderness = std::chrono::seconds(disorder),
        .allowed_lateness = std::chrono::seconds(lateness),
        .max_jump = max_jump > 0 ? std::chrono::seconds(max_jump) : microbatch::Duration::max()};
  }
};

inline Script make_script(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  Script script;
  script.hop = 1 + below(8);
  script.size = script.hop + (below(3) == 0 ? 0 : below(15));
  script.gap = 1 + below(6);
  script.disorder = below(8);
  script.lateness = below(3) == 0 ? 0 : below(20);
  script.max_jump = below(3) == 0 ? 5 + below(30) : 0;
  script.keyed = below(2) == 0;
  const int events = 1 + below(150);
  int now = below(50);
  for (int id = 0; id < events; ++id) {
    now += below(3);
    int t = now - below(1 + 2 * script.disorder);
    if (below(20) == 0) t = now - below(60);   // late
    if (below(30) == 0) t = now + below(200);  // a bad clock
    if (below(40) == 0) t = -1;                // none
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

inline constexpr int unbounded = -1000;

/// Of a Window<Event> or a DurableWindow of one.
template <class W>
Group group_of(const W& window) {
  Group group{window.reason(), window.has_key() ? window.template key<int>() : 0, unbounded,
              unbounded};
  if (const auto& bounds = window.event_bounds()) {
    using std::chrono::seconds;
    std::get<2>(group) = static_cast<int>(bounds->begin.time_since_epoch() / seconds(1));
    std::get<3>(group) = static_cast<int>(bounds->end.time_since_epoch() / seconds(1));
  }
  return group;
}

inline int floor_to(int t, int step) {
  return t >= 0 ? t / step * step : -((-t + step - 1) / step * step);
}

/// How far event time has come; which of the items are to be believed.
struct Progress {
  int watermark = -100'000;
  int newest = -1;
  int doubted = 0;

  bool believes(const Script& script, int t) {
    if (t < 0) return false;
    if (script.max_jump > 0 && newest >= 0 && t - newest > script.max_jump && ++doubted < 16)
      return false;
    doubted = 0;
    newest = std::max(newest, t);
    return true;
  }
  void advance(const Script& script) { watermark = std::max(watermark, newest - script.disorder); }
};

/// For each item in the order of arrival: which watermark does it meet; which windows that are not
/// over by then hold it?
inline Groups of_grid(const Script& script) {
  Groups groups;
  Progress progress;
  const int& watermark = progress.watermark;
  for (const Event& event : script.events) {
    if (!progress.believes(script, event.t)) {
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
    progress.advance(script);
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

inline Groups of_sessions(const Script& script) {
  struct Session {
    int key, begin, end;
    std::vector<int> ids;
  };
  std::vector<Session> open;
  Groups groups;
  Progress progress;
  const int& watermark = progress.watermark;
  const auto leave = [&](Reason reason, Session& session) {
    auto& ids = groups[{reason, session.key, session.begin, session.end}];
    ids.insert(ids.end(), session.ids.begin(), session.ids.end());
  };
  for (const Event& event : script.events) {
    if (!progress.believes(script, event.t)) {
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
    progress.advance(script);
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
inline std::string difference(const Groups& real, const Groups& model) {
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

}  // namespace model
