#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <vector>

#include "support/rig.hpp"

namespace test {

/// Something that happened at a second, by its own clock.
struct Event {
  int second = 0;
  char name = 'a';
  char key = 'k';
};

inline std::chrono::seconds second_of(const Event& event) {
  return std::chrono::seconds(event.second);
}
inline char key_of(const Event& event) { return event.key; }

/// A stream of events in virtual time. Each window becomes a line: why, which seconds, which key,
/// and the names of its items, such as `watermark 0-10 k: abc`.
class EventRig : public Rig<Event> {
 public:
  using Rig::Rig;

  template <class E>
  void consume(E emitter, microbatch::ConsumerOptions<Event> options = {}) {
    Rig::consume(
        std::move(emitter),
        [this](microbatch::Window<Event>& window) { lines.push_back(line_of(window)); },
        std::move(options));
  }

  /// Items named a, b, c, ... on and on.
  void bring(std::initializer_list<int> seconds, char key = 'k') {
    for (const int second : seconds) append(Event{second, name_++, key});
    run();
  }
  void bring_event(int second, char name, char key) {
    append(Event{second, name, key});
    run();
  }

  /// The lines since the last call.
  [[nodiscard]] std::vector<std::string> take_lines() { return std::exchange(lines, {}); }

  static std::string line_of(const microbatch::Window<Event>& window) {
    std::string line(microbatch::to_string(window.reason()));
    if (const auto& bounds = window.event_bounds())
      line += fmt::format(" {}-{}", seconds(bounds->begin), seconds(bounds->end));
    if (window.has_key()) line += fmt::format(" {}", window.key<char>());
    line += ": ";
    for (const Event& event : window) line += event.name;
    return line;
  }

  std::vector<std::string> lines;

 private:
  static std::int64_t seconds(microbatch::EventTime t) {
    return t.time_since_epoch() / std::chrono::seconds(1);
  }
  char name_ = 'a';
};

using Lines = std::vector<std::string>;

}  // namespace test
