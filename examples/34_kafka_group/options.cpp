#include "options.hpp"

#include <fmt/format.h>

#include <charconv>
#include <string_view>

namespace group {

const char* const help_text =
    R"(usage: 34_kafka_group --broker HOST:PORT --from TOPIC --to TOPIC [options]

Many machines, one pipeline: three processes of one consumer group copy records
from one topic to another, each exactly once, while a fourth puts records in.
One of the three is killed with -9, and another one is started. In the end, are
all results there, each once, and is the lag zero?

  --records N          to put in (default 60000)
  --per-second N       so fast (default 6000)
  --group-id NAME      default: one of its own for this run
  --member NAME        run as one member of the group, until SIGTERM: what the
                       three are, and what you run on many machines
  --property NAME=VALUE  any other property of librdkafka, for TLS, say; as
                       often as wanted
  --help               this text

Both topics must exist. --from with at least four partitions, so that there is
one for each member; --to empty, for the counting.

Exit status: 0 each record has one result, and the lag is zero; 1 not; 2 the
options make no sense.
)";

namespace {

int number(std::string_view option, std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1)
    throw BadOption(fmt::format("{} takes a number from 1 on, not `{}`", option, text));
  return value;
}

}  // namespace

Options parse_options(int count, const char* const* arguments) {
  Options options;
  options.help = count == 1;
  for (int i = 1; i < count; ++i) {
    const std::string_view option = arguments[i];
    const auto value = [&]() -> std::string {
      if (i + 1 == count) throw BadOption(fmt::format("{} takes a value", option));
      return arguments[++i];
    };
    if (option == "--help") {
      options.help = true;
    } else if (option == "--broker") {
      options.broker = value();
    } else if (option == "--from") {
      options.from = value();
    } else if (option == "--to") {
      options.to = value();
    } else if (option == "--group-id") {
      options.group = value();
    } else if (option == "--member") {
      options.member = value();
    } else if (option == "--records") {
      options.records = number(option, value());
    } else if (option == "--per-second") {
      options.per_second = number(option, value());
    } else if (option == "--property") {
      const std::string property = value();
      const auto equals = property.find('=');
      if (equals == std::string::npos)
        throw BadOption(fmt::format("--property takes NAME=VALUE, not `{}`", property));
      options.properties.set(property.substr(0, equals), property.substr(equals + 1));
    } else {
      throw BadOption(fmt::format("unknown option `{}`", option));
    }
  }
  if (options.help) return options;
  for (const auto& [name, given] :
       {std::pair("--broker", &options.broker), {"--from", &options.from}, {"--to", &options.to}})
    if (given->empty()) throw BadOption(fmt::format("{} is missing", name));
  if (options.group.empty() && !options.member.empty())
    throw BadOption("--group-id is missing: a member is a member of something");
  return options;
}

microbatch::kafka::Properties properties_of(const Options& options,
                                            const microbatch::kafka::Properties& more) {
  microbatch::kafka::Properties all{{"bootstrap.servers", options.broker}};
  for (const auto& [name, value] : more.all()) all.set(name, value);
  for (const auto& [name, value] : options.properties.all()) all.set(name, value);
  return all;
}

}  // namespace group
