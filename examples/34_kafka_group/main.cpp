// More than one machine: run the same program on each, in one Kafka consumer group. See --help.

#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <thread>

#include "conductor.hpp"
#include "member.hpp"

namespace {

int run_member(const group::Options& options) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // before there are threads, so for all of them
  std::stop_source stop;
  const std::jthread listener([&](std::stop_token ended) {
    constexpr timespec a_while{.tv_sec = 0, .tv_nsec = 100'000'000};
    while (!ended.stop_requested())
      if (sigtimedwait(&signals, nullptr, &a_while) > 0) stop.request_stop();
  });
  return group::be_member(options, stop.get_token());
}

}  // namespace

int main(int count, char** arguments) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // lines of several processes, in their order
  try {
    const group::Options options = group::parse_options(count, arguments);
    if (options.help) {
      fmt::print("{}", group::help_text);
      return 0;
    }
    return options.member.empty() ? group::conduct(options) : run_member(options);
  } catch (const group::BadOption& error) {
    fmt::print(stderr, "34_kafka_group: {}; see --help\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "34_kafka_group: {}\n", error.what());
    return 1;
  }
}
