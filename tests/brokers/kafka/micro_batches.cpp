// examples/33_kafka_micro_batches against a real broker.

#include <microbatch/kafka/sink.hpp>

#include <fmt/ranges.h>

#include <set>

#include "program.hpp"

using namespace test::kafka;
using namespace microbatch;

namespace {

constexpr std::int64_t begin_ms = 1'700'000'000'000;  // 2023-11-14T22:13:20Z

struct Consumer33 {
  RealBroker broker{};
  Folder folder{};
  std::filesystem::path batches = folder.path / "batches";
  std::string topic = broker.make_topic(2);
  std::string group = unique("group");
  std::filesystem::path first = batches / "20231114T221320Z-20231114T221330Z.csv";
  std::filesystem::path second = batches / "20231114T221330Z-20231114T221340Z.csv";

  [[nodiscard]] Program start(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{"--broker",
                                       broker.bootstrap(),
                                       "--topic",
                                       topic,
                                       "--group-id",
                                       group,
                                       "--output",
                                       batches.string(),
                                       "--batch-interval-seconds",
                                       "10",
                                       "--poll-interval-seconds",
                                       "0.3",
                                       "--property",
                                       "session.timeout.ms=3000"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return {"33_kafka_micro_batches", std::move(arguments), folder.path / "output"};
  }
  void put(std::vector<Record> records) const {
    microbatch::kafka::Sink sink({.properties = broker.properties(), .topic = topic});
    REQUIRE(sink.put(records).empty());
  }
  /// The rows of all files of a folder, each with how often it is there.
  [[nodiscard]] static std::map<std::string, int> rows(const std::filesystem::path& folder) {
    std::map<std::string, int> rows;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
      if (entry.path().filename().string().front() == '.') continue;
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);)
        if (line != "partition,offset,timestamp,key,value") ++rows[line];
    }
    return rows;
  }
};

Record at(std::int64_t ms, std::int32_t partition, std::optional<std::string> value,
          std::optional<std::string> key = {}) {
  return {.partition = partition,
          .timestamp_kind = microbatch::kafka::TimestampKind::create,
          .timestamp = microbatch::kafka::Timestamp(std::chrono::milliseconds(begin_ms + ms)),
          .key = std::move(key),
          .value = std::move(value)};
}

}  // namespace

TEST_CASE("kafka micro-batches: a batch closes when a record has passed its end, or polled time",
          "[kafka][examples]") {
  Consumer33 world;
  // A backlog whose partitions are read one after the other.
  for (int i = 0; i < 20; ++i) world.broker.produce(world.topic, i, 1, 2, begin_ms + 500 * i);
  for (int i = 20; i < 40; ++i) world.broker.produce(world.topic, i, 1, 2, begin_ms + 500 * i);
  world.put({at(3'000, 0, "behind its batch's end, in its partition")});
  Program program = world.start();
  // Nothing follows the second batch, but time passes: 0.3 s without a record, then with the clock.
  REQUIRE(eventually([&] { return std::filesystem::exists(world.second); }));
  CHECK(std::filesystem::exists(world.first));
  std::map<std::string, int> late;
  std::map<std::string, int> in_time;
  CHECK(eventually([&] {
    late = Consumer33::rows(world.batches / "late");
    in_time = Consumer33::rows(world.batches);
    return in_time.size() + late.size() == 41;
  }));
  INFO(program.output() << fmt::format("in time: {}\nlate: {}", in_time, late));
  CHECK(late.size() <= 1);  // the other partition may hold the watermark back for it

  world.put({at(4'000, 1, "late")});
  REQUIRE(
      eventually([&] { return Consumer33::rows(world.batches / "late").size() > late.size(); }));
  CHECK(program.end(SIGTERM) == 0);
  CHECK(program.output().find("0 rejected") != std::string::npos);
  CHECK(world.broker.committed(world.group, world.topic, 2) == std::vector<std::int64_t>{21, 21});
}

TEST_CASE("kafka micro-batches: rows are what a bulk load reads, and no text is put aside",
          "[kafka][examples]") {
  Consumer33 world;
  world.put({at(0, 0, "plain", "k"), at(1, 0, "a \"quote\", a comma\nand a line", ""),
             at(2, 0, std::nullopt), at(3, 0, "\xff\xfe"), at(9'900, 0, "h\xc3\xa4")});
  {
    Program program = world.start();
    REQUIRE(eventually([&] { return std::filesystem::exists(world.first); }));
    CHECK(program.end(SIGTERM) == 0);
  }
  CHECK(text_of(world.first) ==
        "partition,offset,timestamp,key,value\n"
        "0,0,2023-11-14T22:13:20.000Z,\"k\",\"plain\"\n"
        "0,1,2023-11-14T22:13:20.001Z,\"\",\"a \"\"quote\"\", a comma\nand a line\"\n"
        "0,2,2023-11-14T22:13:20.002Z,,\n"
        "0,4,2023-11-14T22:13:29.900Z,,\"h\xc3\xa4\"\n");
  CHECK(text_of(world.batches / "rejected" / "0-3.bin") == "\xff\xfe");
  CHECK(world.broker.committed(world.group, world.topic, 2)[0] == 5);

  const auto again = world.folder.path / "again";
  Program program = world.start({"--format", "jsonl", "--group-id", unique("group"), "--output",
                                 again.string(), "--late", (again / "l").string()});
  const auto file = again / "20231114T221320Z-20231114T221330Z.jsonl";
  REQUIRE(eventually([&] { return std::filesystem::exists(file); }));
  CHECK(program.end(SIGTERM) == 0);
  const std::string text = text_of(file);
  CHECK(text.find("{\"partition\":0,\"offset\":1,\"timestamp\":\"2023-11-14T22:13:20.001Z\","
                  "\"key\":\"\",\"value\":\"a \\\"quote\\\", a comma\\u000aand a line\"}\n"
                  "{\"partition\":0,\"offset\":2,\"timestamp\":\"2023-11-14T22:13:20.002Z\","
                  "\"key\":null,\"value\":null}\n") != std::string::npos);
}

TEST_CASE("kafka micro-batches: nothing is committed before its file is in place",
          "[kafka][examples]") {
  Consumer33 world;
  for (int i = 0; i < 40; ++i) world.broker.produce(world.topic, i, 1, 2, begin_ms + 500 * i);
  std::ofstream(world.batches) << "no folder";  // so no file can be made
  {
    Program program = world.start();
    std::this_thread::sleep_for(2s);  // it has had the time for several commits
    CHECK(world.broker.committed(world.group, world.topic, 2) == std::vector<std::int64_t>{-1, -1});
    CHECK(program.end(SIGKILL) == -SIGKILL);
  }
  std::filesystem::remove(world.batches);
  Program program = world.start();
  REQUIRE(eventually([&] { return Consumer33::rows(world.batches).size() == 40; }));
  CHECK(program.end(SIGTERM) == 0);
  CHECK(world.broker.committed(world.group, world.topic, 2) == std::vector<std::int64_t>{20, 20});
}

TEST_CASE("kafka micro-batches: what makes no sense is refused by its name", "[kafka][examples]") {
  const auto refused = [](std::vector<std::string> arguments, const std::string& text, int status) {
    const Folder folder;
    Program program("33_kafka_micro_batches", std::move(arguments), folder.path / "output");
    CHECK(program.wait() == status);
    CHECK(program.output().find(text) != std::string::npos);
  };
  refused({"--topic", "t", "--group-id", "g"}, "--broker is missing", 2);
  refused({"--batch-interval-seconds", "0"},
          "--batch-interval-seconds takes a number from 1 to 86400, not `0`", 2);
  refused({"--batch-interval-seconds", "soon"}, "not `soon`", 2);
  refused({"--form", "csv"}, "unknown option `--form`", 2);
  refused({"--help"}, "usage: 33_kafka_micro_batches", 0);
  const RealBroker broker;
  const std::string topic = unique("no-such-topic");
  refused({"--broker", broker.bootstrap(), "--topic", topic, "--group-id", "g"},
          "topic \"" + topic + "\" does not exist", 1);
}
