#include <microbatch/kafka/record.hpp>

#include <fmt/format.h>

#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "support/catch.hpp"

using microbatch::kafka::Record;
using microbatch::kafka::Topic;

TEST_CASE("kafka::Topic: it is its name, and equal names are one topic", "[kafka]") {
  std::string name = "orders";
  const Record record{.topic = name};
  name = "changed";
  CHECK(record.topic == "orders");
  CHECK(record.topic == std::string("orders"));
  CHECK(record.topic == Topic("orders"));
  CHECK_FALSE(record.topic == Topic("order"));
  CHECK_FALSE(record.topic == name);
  CHECK(&record.topic.name() == &Topic(std::string_view("orders+").substr(0, 6)).name());
  CHECK(fmt::format("{:>8}", record.topic) == "  orders");
  const std::string copy = record.topic;
  CHECK(copy == "orders");
  CHECK(Record{}.topic.empty());
  CHECK(Record{}.topic == Topic(""));
  std::unordered_map<Topic, int> counts;
  ++counts["orders"];
  ++counts[record.topic];
  CHECK(counts == std::unordered_map<Topic, int>{{"orders", 2}});
}

TEST_CASE("kafka::Topic: threads that name the same topic get the same one", "[kafka]") {
  std::vector<Topic> made(4000);
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < 4; ++t)
      threads.emplace_back([&made, t] {
        for (std::size_t i = t * 1000; i < t * 1000 + 1000; ++i)
          made[i] = Topic("topic-" + std::to_string(i % 1000));
      });
  }
  for (std::size_t i = 0; i < made.size(); ++i) CHECK(made[i] == made[i % 1000]);
}
