// examples/34_kafka_group against a real broker: processes of one group under load.

#include "program.hpp"

using namespace test::kafka;

TEST_CASE("kafka group: a member is killed and one is added, each record has one result, no lag",
          "[kafka][examples]") {
  const RealBroker real;
  Broker broker = real;
  const std::string from = broker.make_topic(4);
  const std::string to = broker.make_topic(2);
  const std::string group = unique("group");
  const Folder folder;
  // Kafka waits that long for the killed member and for its open transaction.
  Program program("34_kafka_group",
                  {"--broker", broker.bootstrap(), "--from", from, "--to", to, "--group-id", group,
                   "--records", "30000", "--per-second", "3000", "--property",
                   "session.timeout.ms=3000", "--property", "heartbeat.interval.ms=500"},
                  folder.path / "output");
  const int status = program.wait();
  INFO(program.output());
  CHECK(status == 0);
  // The program counts; we count again.
  std::map<std::string, int> results;
  for (const Record& record : broker.read(to, 2)) ++results[record.value.value()];
  CHECK(results.size() == 30'000);
  CHECK(std::all_of(results.begin(), results.end(), [](auto& r) { return r.second == 1; }));
  std::int64_t processed = 0;
  for (const auto offset : broker.committed(group, from, 4)) processed += offset;
  CHECK(processed == 30'000);
  std::fputs(program.output().c_str(), stdout);
}
