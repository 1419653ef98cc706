#include "conductor.hpp"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <future>
#include <map>
#include <microbatch/kafka/sink.hpp>
#include <microbatch/kafka/source.hpp>
#include <microbatch/microbatch.hpp>
#include <mutex>
#include <numeric>
#include <thread>
#include <vector>

namespace group {
namespace {

using namespace microbatch;
using namespace std::chrono_literals;

using Clock = std::chrono::steady_clock;

/// This program again, as a member.
pid_t start_member(const Options& options, const std::string& name) {
  std::vector<std::string> arguments{
      "34_kafka_group", "--broker",   options.broker, "--from",   options.from, "--to",
      options.to,       "--group-id", options.group,  "--member", name};
  for (const auto& [property, value] : options.properties.all()) {
    arguments.push_back("--property");
    arguments.push_back(property + "=" + value);
  }
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t member = ::fork();
  if (member == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // it does not stay behind if we fail
    ::execv("/proc/self/exe", argv.data());
    std::_Exit(127);
  }
  fmt::print("{} is started\n", name);
  return member;
}

/// The numbers from 0 on, as records.
void put_records(const Options& options, std::atomic<int>& put, std::stop_token stop) {
  kafka::Sink sink({.properties = properties_of(options, {}), .topic = options.from});
  const auto begin = Clock::now();
  while (put < options.records && !stop.stop_requested()) {
    std::vector<kafka::Record> some;
    const int n = std::min(options.records - put, std::max(1, options.per_second / 20));
    for (int i = 0; i < n; ++i) {
      const std::string number = std::to_string(put + i);
      some.push_back({.key = number, .value = number});
    }
    if (const auto failed = sink.put(some); !failed.empty())
      std::rethrow_exception(failed[0].error);
    put += n;
    std::this_thread::sleep_until(begin + 1s * put.load() / options.per_second);
  }
}

/// How often each number is among the results, until all are there or nothing has come for a while.
class Results {
 public:
  explicit Results(const Options& options)
      : options_(options), times_(static_cast<std::size_t>(options.records)) {}

  void count(std::stop_token stop) {
    kafka::Source source(
        {.properties = properties_of(options_, {{"group.id", options_.group + "-results"}}),
         .topics = {options_.to}});
    run(source, any_of(CountWindow{1000}, MaxAgeWindow{100ms}),
        [&](std::span<const kafka::Record> window) {
          for (const kafka::Record& record : window) {
            if (++times_.at(std::stoul(record.value.value())) == 1) ++distinct;
            const std::lock_guard lock(mutex_);
            ++by_member_[record.headers.at(0).value.value()];
          }
        },
        NoSink{}, {.stop = stop});
  }
  [[nodiscard]] long total() const { return std::accumulate(times_.begin(), times_.end(), 0L); }

  [[nodiscard]] std::map<std::string, int> by_member() const {
    const std::lock_guard lock(mutex_);
    return by_member_;
  }

  std::atomic<int> distinct{0};

 private:
  const Options& options_;
  std::vector<int> times_;
  mutable std::mutex mutex_;
  std::map<std::string, int> by_member_;
};

/// What is left to do, as a new member of the group is told by the broker: its lag once it has
/// every partition and has reached its end. Records that it gets have not been processed.
std::int64_t lag_of(const Options& options) {
  kafka::Source source({.properties = properties_of(
                            options, {{"group.id", options.group}, {"session.timeout.ms", "6000"}}),
                        .topics = {options.from}});
  std::stop_source stop;
  std::int64_t lag = -1;
  std::jthread look([&] {
    for (const auto until = Clock::now() + 60s; Clock::now() < until && lag < 0;
         std::this_thread::sleep_for(50ms)) {
      const auto partitions = source.stats().partitions;
      lag = partitions.empty() ? -1 : 0;
      for (const auto& partition : partitions)
        lag = partition.committed < 0 || lag < 0 ? -1 : lag + partition.lag;
    }
    stop.request_stop();
  });
  run(source, CountWindow{1},
      [&](std::span<const kafka::Record>) { throw TransientError("not ours to process"); },
      NoSink{}, {.stop = stop.get_token(), .drain_timeout = 0s});
  look.join();
  return lag;
}

}  // namespace

int conduct(Options options) {
  if (options.group.empty()) options.group = fmt::format("group-{}", ::getpid());
  std::vector<pid_t> members;
  for (const char* name : {"member-1", "member-2", "member-3"})
    members.push_back(start_member(options, name));

  std::atomic<int> put{0};
  Results results(options);
  const auto begin = Clock::now();
  std::stop_source stop;
  auto producer =
      std::async(std::launch::async, [&] { put_records(options, put, stop.get_token()); });
  auto counter = std::async(std::launch::async, [&] { results.count(stop.get_token()); });

  auto moved = begin;  // when a result came last
  int distinct = 0;
  const auto wait_until = [&](auto done) {
    while (!done() && Clock::now() - moved < 60s) {
      if (results.distinct != distinct) {
        distinct = results.distinct;
        moved = Clock::now();
      }
      std::this_thread::sleep_for(10ms);
    }
  };
  wait_until([&] { return results.by_member()["member-2"] >= options.records / 20; });
  ::kill(members[1], SIGKILL);
  ::waitpid(members[1], nullptr, 0);
  fmt::print("member-2 is killed, {} of {} results are there\n", results.distinct.load(),
             options.records);
  wait_until([&] { return results.distinct >= options.records / 2; });
  members[1] = start_member(options, "member-4");
  wait_until([&] { return results.distinct >= options.records; });
  const auto took = std::chrono::duration<double>(Clock::now() - begin);

  bool well = true;
  for (const pid_t member : members) {
    int status = -1;
    ::kill(member, SIGTERM);
    ::waitpid(member, &status, 0);
    well = well && status == 0;
  }
  stop.request_stop();
  producer.get();
  counter.get();
  const long doubled = results.total() - results.distinct;
  const auto lag = lag_of(options);
  fmt::print("\n");
  for (const auto& [member, n] : results.by_member())
    fmt::print("{:>8} results of {}\n", n, member);
  fmt::print(
      "{:>8} records put in\n{:>8} have a result\n{:>8} results too many\n{:>8} left to do (the "
      "lag)\n{:8.1f} s\n",
      put.load(), results.distinct.load(), doubled, lag, took.count());
  return well && put == options.records && results.distinct == put && doubled == 0 && lag == 0 ? 0
                                                                                               : 1;
}

}  // namespace group
