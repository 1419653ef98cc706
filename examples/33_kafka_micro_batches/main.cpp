// The Kafka micro-batch consumer: a topic's records, by their own timestamps, into files for a bulk
// load. See --help.

#include <fmt/format.h>

#include <csignal>
#include <microbatch/kafka/source.hpp>
#include <microbatch/microbatch.hpp>
#include <optional>
#include <thread>

#include "batch_files.hpp"
#include "options.hpp"

namespace {

using namespace microbatch;

std::optional<kafka::Timestamp> time_of(const kafka::Record& record) {
  if (record.timestamp_kind == kafka::TimestampKind::none) return {};
  return record.timestamp;
}

int consume(const batches::Options& options, std::stop_token stop) {
  batches::BatchFiles files(options);
  kafka::Properties properties = options.properties;
  properties.set("bootstrap.servers", options.broker).set("group.id", options.group);
  kafka::Source source(
      {.properties = properties,
       .topics = {options.topic},
       .commit_interval = options.poll_interval,
       .on_event = [](const std::string& event) { fmt::print(stderr, "{}\n", event); }});
  const TumblingWindow by_time(options.batch_interval, time_of,
                               {.out_of_orderness = options.out_of_order,
                                .idle_after = options.poll_interval,
                                .max_jump = Duration::max()});  // a gap of days is a gap of days
  const auto end =
      run(source, by_time, [&](Window<kafka::Record>& window) { files.write(window); }, NoSink{},
          {.stream = {.name = options.topic, .capacity = 1'000'000},
           .consumer = {.dead_letters =
                            [&](DeadLetter<kafka::Record>& letter) {
                              files.keep_rejected(letter.item);
                            }},
           .stop = stop});
  const auto& counts = files.counts();
  fmt::print("{} files: {} records in their batches, {} late; {} rejected\n", counts.files,
             counts.records, counts.late, counts.rejected);
  const std::size_t written = counts.records + counts.late + counts.rejected;
  return end.stats.balances() && end.stats.accepted == written ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  batches::Options options;
  try {
    options = batches::parse_options(count, arguments);
  } catch (const batches::BadOption& error) {
    fmt::print(stderr, "33_kafka_micro_batches: {}; see --help\n", error.what());
    return 2;
  }
  if (options.help) {
    fmt::print("{}", batches::help_text);
    return 0;
  }

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
  try {
    return consume(options, stop.get_token());
  } catch (const std::exception& error) {
    fmt::print(stderr, "33_kafka_micro_batches: {}\n", error.what());
    return 1;
  }
}
