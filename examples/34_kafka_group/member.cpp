#include "member.hpp"

#include <fmt/format.h>

#include <chrono>
#include <microbatch/kafka/exactly_once.hpp>
#include <microbatch/microbatch.hpp>
#include <thread>
#include <vector>

namespace group {

using namespace microbatch;
using namespace std::chrono_literals;

int be_member(const Options& options, std::stop_token stop) {
  kafka::Source source({.properties = properties_of(
                            options, {{"group.id", options.group},
                                      // Only the partitions that move stand still meanwhile.
                                      {"partition.assignment.strategy", "cooperative-sticky"},
                                      {"session.timeout.ms", "6000"}}),
                        .topics = {options.from},
                        .on_event = [&](const std::string& event) {
                          fmt::print(stderr, "{}: {}\n", options.member, event);
                        }});
  const auto end = kafka::run_exactly_once(
      source, any_of(CountWindow{100}, MaxAgeWindow{100ms}),
      [&](std::span<const kafka::Record> window) {
        std::this_thread::sleep_for(5ms);  // some work
        std::vector<kafka::Record> results;
        for (const kafka::Record& record : window)
          results.push_back(
              {.key = record.key, .value = record.value, .headers = {{"member", options.member}}});
        return results;
      },
      {.output = {.properties =
                      properties_of(options,
                                    {// A name that a restarted member has again: its open
                                     // transaction is aborted at once.
                                     {"transactional.id", options.group + "-" + options.member},
                                     {"transaction.timeout.ms", "10000"}}),
                  .topic = options.to},
       .stop = stop});
  fmt::print("{}: {} records in {} windows\n", options.member, end.closed.delivered,
             end.stats.windows);
  return end.stats.balances() && end.closed.dead_lettered == 0 ? 0 : 1;
}

}  // namespace group
