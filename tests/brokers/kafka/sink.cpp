// The sink against a real broker.

#include <microbatch/kafka/sink.hpp>

#include "broker.hpp"

using namespace test::kafka;
using namespace microbatch;

namespace {

std::vector<Record> numbers(int n) {
  std::vector<Record> records;
  for (int i = 0; i < n; ++i) records.push_back({.partition = 0, .value = std::to_string(i)});
  return records;
}

template <class E>
std::string text_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const E& e) {
    return e.what();
  } catch (const std::exception& e) {
    return std::string("of another kind: ") + e.what();
  }
}

}  // namespace

TEST_CASE("kafka: put returns when the broker has every record, in order", "[kafka]") {
  RealBroker broker;
  const std::string topic = broker.make_topic(1);
  microbatch::kafka::Sink sink({.properties = broker.properties(), .topic = topic});
  const auto records = numbers(1000);
  CHECK(sink.put(records).empty());
  CHECK(sink.put({}).empty());
  const auto read = broker.read(topic);
  REQUIRE(read.size() == 1000);
  for (std::size_t i = 0; i < 1000; ++i) REQUIRE(read[i].value == records[i].value);
}

TEST_CASE("kafka: a record that the broker will never take is named, and the others are in",
          "[kafka]") {
  RealBroker broker;
  const std::string topic = broker.make_topic(1);
  microbatch::kafka::Sink sink(
      {.properties = broker.properties({{"message.max.bytes", "2000000"}}), .topic = topic});
  auto records = numbers(5);
  records[1].value = std::string(1'500'000, 'x');  // above the broker's limit
  records[2].value = std::string(3'000'000, 'x');  // above the client's
  records[3].partition = 7;
  records[4].topic = unique("no-such-topic");
  const auto errors = sink.put(records);
  REQUIRE(errors.size() == 4);
  for (std::size_t i = 0; i < errors.size(); ++i) {
    CHECK(errors[i].index == i + 1);
    const auto text = text_of<microbatch::kafka::Error>(errors[i].error);
    CHECK(text.find("kafka::Sink: a record for topic") == 0);
  }
  const auto read = broker.read(topic);
  REQUIRE(read.size() == 1);
  CHECK(read[0].value == "0");
}

TEST_CASE("kafka: a record that a sink refuses ends its item, and no other", "[kafka]") {
  RealBroker broker;
  const std::string topic = broker.make_topic(1);
  microbatch::Stream<int> stream;
  std::vector<int> dead;
  auto consumer = streaming(
      stream, CountWindow{10},
      [](std::span<const int> window) {
        std::vector<Record> records;
        for (const int item : window)
          records.push_back({.partition = item == 3 ? 5 : 0, .value = std::to_string(item)});
        return records;
      },
      {.sink = microbatch::kafka::Sink({.properties = broker.properties(), .topic = topic}),
       .dead_letters = [&](DeadLetter<int>& letter) { dead.push_back(letter.item); }});
  for (int i = 0; i < 10; ++i) stream.append(i);
  const auto closed = consumer.close();
  CHECK(closed.delivered == 9);
  CHECK(dead == std::vector{3});
  CHECK(broker.read(topic).size() == 9);
}

TEST_CASE("kafka: a sink whose topic is missing says so at once", "[kafka]") {
  RealBroker broker;
  const std::string topic = unique("no-such-topic");
  const auto begin = std::chrono::steady_clock::now();
  try {
    const microbatch::kafka::Sink sink({.properties = broker.properties(), .topic = topic});
    FAIL("it must throw");
  } catch (const microbatch::kafka::Error& error) {
    CHECK(error.what() ==
          fmt::format("kafka::Sink: topic \"{}\" does not exist (SinkOptions.topic)", topic));
  }
  CHECK(std::chrono::steady_clock::now() - begin < 15s);
}
