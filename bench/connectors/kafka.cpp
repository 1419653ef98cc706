// How much of librdkafka's speed is left with microbatch around it? Each contender beside a bare
// loop over the C API, in turns, on one broker.
//
//   bench_connectors_kafka [RECORDS [ROUNDS]]     MICROBATCH_TEST_KAFKA=host:port names the broker

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <microbatch/kafka/exactly_once.hpp>
#include <microbatch/microbatch.hpp>
#include <string>
#include <vector>

#include "kafka_bare.hpp"

namespace {

using namespace microbatch;
using bench::kafka::Work;
using Clock = std::chrono::steady_clock;

kafka::SourceOptions reading(const Work& work, Clock::time_point& assigned) {
  return {.properties = {{"bootstrap.servers", work.broker},
                         {"group.id", bench::kafka::unique("ours")}},
          .topics = {work.topic},
          .on_event = [&](const std::string& event) {
            if (event.find("assigned") != std::string::npos) assigned = Clock::now();
          }};
}

/// Counts to the end, and notes when that was.
struct Counter {
  std::size_t wanted;
  std::stop_source stop{};
  std::size_t n = 0;
  Clock::time_point at{};

  void add(std::size_t more) {
    n += more;
    if (n < wanted || at != Clock::time_point{}) return;
    at = Clock::now();
    stop.request_stop();
  }
};

double our_source(const Work& work) {
  Clock::time_point assigned;
  kafka::Source source(reading(work, assigned));
  Counter counter{.wanted = work.records};
  run(source, any_of(CountWindow{1000}, MaxAgeWindow{std::chrono::seconds(1)}),
      [&](std::span<const kafka::Record> window) { counter.add(window.size()); }, NoSink{},
      {.stop = counter.stop.get_token()});
  return std::chrono::duration<double>(counter.at - assigned).count();
}

double our_sink(const Work& work) {
  kafka::Sink sink({.properties = {{"bootstrap.servers", work.broker}}, .topic = work.topic});
  const std::string value(work.size, 'x');
  const kafka::Record first{.value = value};
  (void)sink.put({&first, 1});  // it connects
  Stream<std::size_t> stream;
  const auto begin = Clock::now();
  auto consumer =
      streaming(stream, CountWindow{1000},
                [&](std::span<const std::size_t> window) {
                  std::vector<kafka::Record> records(window.size());
                  for (kafka::Record& record : records) record.value = value;
                  return records;
                },
                {.executor = ThreadPool{4}, .order = Order::unordered, .sink = std::move(sink)});
  auto producer = stream.producer();
  for (std::size_t i = 0; i < work.records; ++i) producer.append(i);
  const auto end = consumer.close();
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  if (end.delivered != work.records) fmt::print("LOST: {} of {}\n", end.delivered, work.records);
  return seconds;
}

double our_transactions(const Work& work) {
  Clock::time_point assigned;
  kafka::Source source(reading(work, assigned));
  Counter counter{.wanted = work.records};
  std::vector<std::size_t> sizes;
  const auto end = kafka::run_exactly_once(
      source, any_of(CountWindow{work.group}, MaxAgeWindow{std::chrono::seconds(1)}),
      [&](std::span<const kafka::Record> window) {
        std::vector<kafka::Record> results;
        results.reserve(window.size());
        for (const kafka::Record& record : window) results.push_back({.value = record.value});
        counter.add(window.size());
        return results;
      },
      {.output = {.properties = {{"bootstrap.servers", work.broker},
                                 {"transactional.id", bench::kafka::unique("ours")}},
                  .topic = work.to},
       .stop = counter.stop.get_token()});
  // The last transaction commits after its callback: one of many.
  if (end.closed.delivered < work.records) fmt::print("LOST: {}\n", end.closed.delivered);
  return std::chrono::duration<double>(counter.at - assigned).count();
}

/// Both in turns: the median of the ratios, and their range.
void compare(const char* what, double wanted, std::size_t records, int rounds,
             const std::function<double()>& bare, const std::function<double()>& ours) {
  std::vector<double> ratios;
  std::vector<double> rates[2];
  for (int round = 0; round < rounds; ++round) {
    const double theirs = bare();
    const double mine = ours();
    ratios.push_back(theirs / mine);
    rates[0].push_back(static_cast<double>(records) / theirs / 1e3);
    rates[1].push_back(static_cast<double>(records) / mine / 1e3);
  }
  for (auto* list : {&ratios, &rates[0], &rates[1]}) std::sort(list->begin(), list->end());
  const auto middle = static_cast<std::size_t>(rounds) / 2;
  fmt::print(
      "{:<34} bare {:>6.0f} k/s ({:.0f} to {:.0f}), ours {:>6.0f} k/s ({:.0f} to {:.0f}): {:.2f} "
      "({:.2f} to {:.2f}), at least {:.2f} wanted\n",
      what, rates[0][middle], rates[0].front(), rates[0].back(), rates[1][middle], rates[1].front(),
      rates[1].back(), ratios[middle], ratios.front(), ratios.back(), wanted);
}

}  // namespace

int main(int argc, char** argv) {
  const char* broker = std::getenv("MICROBATCH_TEST_KAFKA");
  if (broker == nullptr) {
    fmt::print("skipped, because MICROBATCH_TEST_KAFKA names no broker\n");
    return 0;
  }
  const std::size_t n = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1'000'000;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
  constexpr std::size_t size = 100;
  const Work read{.broker = broker,
                  .topic = bench::kafka::make_topic(broker, 2),
                  .to = bench::kafka::make_topic(broker, 2),
                  .records = n,
                  .size = size};
  bench::kafka::fill(read, 2);
  fmt::print("{} records of {} bytes, windows of 1000; medians of {} rounds in turns\n", n, size,
             rounds);
  compare(
      "source: poll loop", 0.9, n, rounds, [&] { return bench::kafka::bare_poll_loop(read); },
      [&] { return our_source(read); });
  Work write = read;
  write.topic = bench::kafka::make_topic(broker, 2);
  compare(
      "sink: producer, reports awaited", 0.9, n, rounds,
      [&] { return bench::kafka::bare_producer(write); }, [&] { return our_sink(write); });
  Work transactions = read;
  transactions.records = std::max<std::size_t>(1000, n / 5);
  transactions.group = 1000;
  compare(
      "exactly once: 1000 a transaction", 0.8, transactions.records, rounds,
      [&] { return bench::kafka::bare_transactions(transactions); },
      [&] { return our_transactions(transactions); });
}
