#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <microbatch/microbatch.hpp>
#include <string>
#include <vector>

/// A running program's streams as text, four lines each and at most 80 columns wide: rates, depths,
/// why windows left and how large they were, latencies, and what did not get through.
///
/// It reads consumers through their probes, so it keeps none of them alive and holds none up.
class View {
 public:
  static constexpr std::size_t columns = 80;

  template <microbatch::Observable C>
  void watch(const C& consumer) {
    rows_.push_back({.probe = consumer.probe()});
  }

  /// Looks at everything, `elapsed` after it did so last.
  void look(microbatch::Duration elapsed);

  /// The whole view, each line with a newline at its end.
  [[nodiscard]] std::string text() const;
  /// One line per stream, for logs and pipes.
  [[nodiscard]] std::string lines() const;

 private:
  struct Row {
    std::shared_ptr<const microbatch::Probe> probe;
    microbatch::Sample now{};
    microbatch::Stats before{};
    bool running = false;
    double seconds = 1;           // between the two
    std::deque<double> rates{};   // delivered per second, oldest first
    std::deque<double> depths{};  // pending

    [[nodiscard]] double rate(std::uint64_t microbatch::Stats::*counter) const;
    [[nodiscard]] std::string reasons() const;
    void add_to(std::string& out) const;
  };

  std::vector<Row> rows_;
};
