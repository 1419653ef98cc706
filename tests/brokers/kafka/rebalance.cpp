// What the members of a group do when partitions move.

#include "broker.hpp"

using namespace test::kafka;
using namespace microbatch;

namespace {

const char* const assignors[] = {"range", "cooperative-sticky"};

}  // namespace

TEST_CASE("kafka: in a rebalance what is in flight ends and is committed first", "[kafka]") {
  RealBroker broker;
  for (const std::string assignor : assignors) {
    INFO(assignor);
    const std::string topic = broker.make_topic(4);
    const std::string group = unique("group");
    const auto properties = broker.member(group, {{"partition.assignment.strategy", assignor}});
    Seen seen;
    seen.before = [](Window<Record>&) { std::this_thread::sleep_for(1ms); };
    broker.produce(topic, 0, 4000, 4);
    Member first({.properties = properties, .topics = {topic}}, 10, seen);
    REQUIRE(eventually([&] { return seen.distinct() > 100; }));
    Member second({.properties = properties, .topics = {topic}}, 10, seen);
    REQUIRE(eventually([&] { return first.partitions() == 2 && second.partitions() == 2; }));
    broker.produce(topic, 4000, 400, 4);
    REQUIRE(eventually([&] { return seen.distinct() > 4100; }));
    (void)second.stop();
    REQUIRE(eventually([&] { return first.partitions() == 4; }));
    broker.produce(topic, 4400, 400, 4);
    REQUIRE(eventually([&] { return seen.distinct() == 4800; }));
    (void)first.stop();
    CHECK(seen.once(0, 4800));
    CHECK(broker.committed(group, topic, 4) == std::vector<std::int64_t>(4, 1200));
  }
}

TEST_CASE("kafka: what does not end before a partition goes is read again by its next owner",
          "[kafka]") {
  RealBroker broker;
  const std::string topic = broker.make_topic(2);
  const std::string group = unique("group");
  broker.produce(topic, 0, 20, 2);
  std::promise<void> release;
  const auto released = release.get_future().share();
  Seen stuck;
  stuck.before = [&](Window<Record>&) { released.wait(); };
  Member first({.properties = broker.member(group), .topics = {topic}, .revoke_timeout = 200ms}, 20,
               stuck);
  REQUIRE(eventually([&] { return first.stats().records == 20; }));
  Seen seen;
  Member second({.properties = broker.member(group), .topics = {topic}}, 20, seen);
  REQUIRE(eventually([&] { return seen.distinct() == 10; }));
  CHECK(first.told("revoke_timeout"));
  release.set_value();
  REQUIRE(eventually([&] { return stuck.distinct() == 20; }));
  (void)second.stop();
  (void)first.stop();
  // The late end of the first member's windows commits nothing that is not its own any more, and
  // what it has kept or got back is committed by its second reading.
  CHECK(broker.committed(group, topic, 2) == std::vector<std::int64_t>{10, 10});
}
