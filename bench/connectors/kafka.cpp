// How much of librdkafka's speed is left with microbatch around it? Each contender beside a bare
// loop over the C API, in turns, on one broker.
//
//   bench_connectors_kafka [RECORDS [ROUNDS [source|sink|exactly_once]]]
//   MICROBATCH_TEST_KAFKA=host:port names the broker

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <microbatch/kafka/exactly_once.hpp>
#include <microbatch/microbatch.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "kafka_bare.hpp"
#include "rounds.hpp"

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
  ThreadPool pool(12);  // puts overlap, as a producer's requests do
  const auto begin = Clock::now();
  auto consumer = streaming(stream, CountWindow{1000},
                            [&](std::span<const std::size_t> window) {
                              std::vector<kafka::Record> records(window.size());
                              for (kafka::Record& record : records) record.value = value;
                              return records;
                            },
                            {.executor = pool, .order = Order::unordered, .sink = std::move(sink)});
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

struct Way {
  const char* name;
  double (*seconds)(const Work&);
};

/// Bare loops and ours, in turns.
void compare(const std::string& what, const Work& work, int rounds, const std::vector<Way>& ways) {
  std::vector<bench::Contender> contenders;
  for (const Way& way : ways)
    contenders.push_back({way.name, work.records, [&work, seconds = way.seconds] {
                            return static_cast<double>(work.records) / seconds(work);
                          }});
  bench::compare(what, rounds, contenders);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string broker = bench::server("MICROBATCH_TEST_KAFKA");
  const std::size_t n = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1'000'000;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
  const auto asked = [&](std::string_view part) { return argc <= 3 || part == argv[3]; };
  Work work{.broker = broker,
            .topic = bench::kafka::make_topic(broker, 2),
            .to = bench::kafka::make_topic(broker, 2),
            .records = n,
            .size = 100,
            .group = 1000};
  bench::kafka::fill(work, 2);
  fmt::print("records of {} bytes, windows of {}\n\n", work.size, work.group);
  if (asked("source"))
    compare(fmt::format("source of {} records; at least 0.90 wanted", n), work, rounds,
            {{"librdkafka", bench::kafka::bare_poll_loop}, {"microbatch", our_source}});
  if (asked("sink")) {
    Work write = work;
    write.topic = work.to;
    compare(fmt::format("\nsink of {} records; at least 0.90 wanted", n), write, rounds,
            // With the sink's linger.ms, and with librdkafka's own.
            {{"librdkafka", [](const Work& w) { return bench::kafka::bare_producer(w, "0"); }},
             {"librdkafka, linger.ms=5",
              [](const Work& w) { return bench::kafka::bare_producer(w, "5"); }},
             {"microbatch", our_sink}});
  }
  if (asked("exactly_once")) {
    work.records = std::max<std::size_t>(1000, n / 5);
    compare(fmt::format("\nexactly once, {} records; at least 0.80 wanted", work.records), work,
            rounds,
            {{"librdkafka", bench::kafka::bare_transactions}, {"microbatch", our_transactions}});
  }
}
