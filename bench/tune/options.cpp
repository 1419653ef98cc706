#include "options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <thread>

namespace tune {

const char* const help_text =
    R"(usage: bench_tune [options]

Finds the settings for a workload: how many items a window holds, how long an
item waits at most for its window, how many workers run the callback, and how
many items the stream holds. Replays the arrivals through the real emitters in
virtual time, runs some settings for real, recommends one as code to paste,
tries it on arrivals that it has not seen, and writes a page of charts.

The workload:
  --rate N           items per second (default 100000)
  --arrivals KIND    poisson (default), even, or bursts: five times the rate for
                     a tenth of the time, each about as long as the target
  --trace FILE       in place of these two, recorded arrivals: a time in seconds
                     per line, from whatever start. Two thirds of it serve to
                     choose the settings, the last third to try them
  --producers N      threads that append (default 2)
  --item-bytes N     8 to 1024 (default 64); run as the next of 8, 64, 256, 1024
  --callback-us X    what the callback takes for a window (default 500), and ...
  --per-item-us X    ... for each item in it (default 1)
  --burn             the callback computes; without it, it waits, as one does
                     that talks to a database
  --target-ms X      from the append of an item to the end of its callback, for
                     99 items in 100 (default 50)

What is tried, by default what suits the workload. LIST: 100,200,500
  --windows LIST     items
  --ages-ms LIST
  --workers LIST
  --capacities LIST  items

The run:
  --seconds N        about so long (default 60); longer for a large target
  --quick            the same as --seconds 10
  --seed N           for other random arrivals (default 1)
  --page FILE        where the charts go (default tune.html)
  --help             this text

Exit status: 0 there is a recommendation; 1 no setting meets the target, or
something failed; 2 the options make no sense.
)";

namespace {

double to_number(std::string_view option, std::string_view text, double least, double most) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() ||
      !(number >= least && number <= most))
    throw BadOption(
        fmt::format("{} takes a number from {} to {}, not `{}`", option, least, most, text));
  return number;
}

std::size_t to_count(std::string_view option, std::string_view text, std::size_t least,
                     std::size_t most) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < least || number > most)
    throw BadOption(
        fmt::format("{} takes a whole number from {} to {}, not `{}`", option, least, most, text));
  return number;
}

template <class Read>
auto to_list(std::string_view text, Read read) {
  std::vector<decltype(read(text))> list;
  for (;;) {
    const std::size_t comma = text.find(',');
    list.push_back(read(text.substr(0, comma)));
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
  return list;
}

Arrivals to_arrivals(std::string_view text) {
  if (text == "poisson") return Arrivals::poisson;
  if (text == "even") return Arrivals::even;
  if (text == "bursts") return Arrivals::bursts;
  throw BadOption(fmt::format("--arrivals takes poisson, even or bursts, not `{}`", text));
}

constexpr std::size_t most_items = std::size_t{1} << 24;
constexpr double hour_ms = 3'600'000;

template <class Unit>
Duration to_duration(double number) {
  return std::chrono::duration_cast<Duration>(Unit(number));
}

void check(const Options& options, bool rate_given) {
  const Workload& workload = options.workload;
  if (!workload.trace.empty() && rate_given)
    throw BadOption("--trace has its own arrivals; leave out --rate and --arrivals");
  if (workload.callback(1) >= workload.target)
    throw BadOption(fmt::format(
        "the callback takes {} ms for a single item, so --target-ms {} cannot be met",
        Milliseconds(workload.callback(1)).count(), Milliseconds(workload.target).count()));
  const auto& [windows, ages, workers, capacities] = options.candidates;
  if (!windows.empty() && !capacities.empty() && capacities.back() < windows.front())
    throw BadOption(fmt::format("--capacities: none of them holds a window of {}, the smallest",
                                windows.front()));
}

}  // namespace

Options parse_options(int count, const char* const* arguments) {
  Options options;
  Workload& workload = options.workload;
  bool rate_given = false;
  for (int i = 1; i < count; ++i) {
    std::string_view option = arguments[i];
    if (!option.starts_with("--"))
      throw BadOption(fmt::format("an option begins with --, not as `{}`", option));

    // --name VALUE or --name=VALUE
    const std::size_t equals = option.find('=');
    const bool joined = equals != std::string_view::npos;
    const std::string_view joined_value = joined ? option.substr(equals + 1) : "";
    if (joined) option = option.substr(0, equals);
    const auto value = [&]() -> std::string_view {
      if (!joined && i + 1 == count) throw BadOption(fmt::format("{} takes a value", option));
      const std::string_view text = joined ? joined_value : arguments[++i];
      if (text.empty()) throw BadOption(fmt::format("the value of {} is empty", option));
      return text;
    };
    const auto counts = [&](std::size_t most) {
      return to_list(value(),
                     [&](std::string_view text) { return to_count(option, text, 1, most); });
    };

    if (option == "--rate") {
      workload.rate = to_number(option, value(), 0.1, 1e8);
      rate_given = true;
    } else if (option == "--arrivals") {
      workload.arrivals = to_arrivals(value());
      rate_given = true;
    } else if (option == "--trace") {
      workload.trace = value();
    } else if (option == "--producers") {
      workload.producers = to_count(option, value(), 1, 1000);
    } else if (option == "--item-bytes") {
      workload.item_bytes = to_count(option, value(), 8, 1024);
    } else if (option == "--callback-us") {
      workload.fixed = to_duration<Microseconds>(to_number(option, value(), 0, 1e9));
    } else if (option == "--per-item-us") {
      workload.per_item = Microseconds(to_number(option, value(), 0, 1e9));
    } else if (option == "--burn" && !joined) {
      workload.burns = true;
    } else if (option == "--target-ms") {
      workload.target = to_duration<Milliseconds>(to_number(option, value(), 0.05, hour_ms));
    } else if (option == "--windows") {
      options.candidates.windows = counts(most_items);
    } else if (option == "--ages-ms") {
      options.candidates.ages = to_list(value(), [&](std::string_view text) {
        return to_duration<Milliseconds>(to_number(option, text, 0.001, hour_ms));
      });
    } else if (option == "--workers") {
      options.candidates.workers = counts(most_workers);
    } else if (option == "--capacities") {
      options.candidates.capacities = counts(most_items);
    } else if (option == "--seconds") {
      options.run = Seconds(to_number(option, value(), 1, 3600));
    } else if (option == "--quick" && !joined) {
      options.run = Seconds(10);
    } else if (option == "--seed") {
      options.seed = to_count(option, value(), 1, most_items);
    } else if (option == "--page") {
      options.page = value();
    } else if (option == "--help" && !joined) {
      options.help = true;
    } else {
      throw BadOption(fmt::format("unknown option `{}`", arguments[i]));
    }
  }
  if (!options.help) check(options, rate_given);
  return options;
}

}  // namespace tune
