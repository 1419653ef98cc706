// The source against a real broker.

#include "broker.hpp"

using namespace test::kafka;
using namespace microbatch;

TEST_CASE("kafka: every record reaches a window, and is committed", "[kafka]") {
  RealBroker broker;
  const std::string topic = broker.make_topic(2);
  const std::string group = unique("group");
  broker.produce(topic, 0, 1000, 2);
  Seen seen;
  Member member({.properties = broker.member(group), .topics = {topic}}, 100, seen);
  REQUIRE(eventually([&] { return seen.distinct() == 1000; }));
  const auto result = member.stop();
  CHECK(seen.once(0, 1000));
  CHECK(result.closed.delivered == 1000);
  CHECK(result.stats.balances());
  CHECK(broker.committed(group, topic, 2) == std::vector<std::int64_t>{500, 500});
}
