// What is refused before anything runs.

#include <microbatch/kafka/properties.hpp>
#include <microbatch/kafka/sink.hpp>
#include <microbatch/kafka/source.hpp>

#include <fmt/format.h>

#include <string>

#include "support/catch.hpp"

using namespace microbatch::kafka;
using namespace std::chrono_literals;

namespace {

const Properties enough{{"bootstrap.servers", "127.0.0.1:1"}, {"group.id", "g"}};

Properties with(const std::string& name, const std::string& value) {
  return Properties(enough).set(name, value);
}

std::string refused(SourceOptions options) {
  try {
    const Source source(std::move(options));
  } catch (const microbatch::ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("kafka::Source: what cannot work is refused at construction, by its name", "[kafka]") {
  CHECK(refused({.properties = enough, .topics = {"t"}}) == "accepted");
  CHECK(contains(refused({.properties = enough}), "SourceOptions.topics is empty"));
  CHECK(contains(refused({.properties = enough, .topics = {"t", ""}}), "SourceOptions.topics"));
  CHECK(contains(refused({.properties = {{"group.id", "g"}}, .topics = {"t"}}),
                 "property \"bootstrap.servers\" is missing"));
  CHECK(contains(refused({.properties = {{"bootstrap.servers", "b"}}, .topics = {"t"}}),
                 "property \"group.id\" is missing"));
  CHECK(contains(refused({.properties = with("no.such.thing", "1"), .topics = {"t"}}),
                 "unknown property \"no.such.thing\""));
  const auto text = refused({.properties = with("session.timeout.ms", "soon"), .topics = {"t"}});
  CHECK(contains(text, "property \"session.timeout.ms\" cannot be \"soon\""));
  CHECK(contains(refused({.properties = with("enable.auto.commit", "true"), .topics = {"t"}}),
                 "property \"enable.auto.commit\" must be false"));
  CHECK(contains(refused({.properties = enough, .topics = {"t"}, .revoke_timeout = 0s}),
                 "SourceOptions.revoke_timeout must be positive, got 0 ns"));
}

TEST_CASE(
    "kafka::Sink: a transactional.id is refused, and so is a dead-letter sink without a topic",
    "[kafka]") {
  CHECK_THROWS_AS(Sink({.properties = with("transactional.id", "x"), .topic = "t"}),
                  microbatch::ConfigError);
  CHECK_THROWS_AS(DeadLetters({.properties = enough}), microbatch::ConfigError);
}

TEST_CASE("kafka::Properties: the last value counts, and secrets are not printed", "[kafka]") {
  Properties properties{{"a", "1"}, {"sasl.password", "canary"}, {"ssl.key.pem", "canary too"}};
  properties.set("a", "2");
  CHECK(fmt::format("{}", properties) == "a=2, sasl.password=***, ssl.key.pem=***");
  CHECK(properties.without_secrets("it is canary too, or canary") == "it is ***, or ***");
  CHECK(properties.get("a") == "2");
  CHECK_FALSE(properties.get("b").has_value());
}

TEST_CASE("kafka::Source: an error does not repeat a secret, wherever it stands", "[kafka]") {
  const auto text =
      refused({.properties = with("sasl.password", "canary").set("session.timeout.ms", "canary"),
               .topics = {"t"}});
  CHECK(contains(text, "property \"session.timeout.ms\" cannot be \"***\""));
  CHECK_FALSE(contains(text, "canary"));
}
