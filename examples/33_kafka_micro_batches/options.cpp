#include "options.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <string_view>

namespace batches {

const char* const help_text =
    R"(usage: 33_kafka_micro_batches --broker HOST:PORT --topic NAME --group-id NAME [options]

Writes the records of a Kafka topic to files for a bulk load: a file for each
interval of the records' own timestamps. A file appears when it is complete and
on the disk, and the group commits its records after that.

  --batch-interval-seconds N   of a batch, from a multiple of N since 1970 on
                               (1 to 86400; default 60). A batch closes when a
                               record has passed its end ...
  --poll-interval-seconds S    ... or, where the topic has brought nothing for
                               S seconds (0.05 to 3600; default 1), when the
                               time that goes on from then has passed it.
                               Offsets are committed that often, too
  --out-of-order-seconds N     so much older than the newest a record may be
                               and still be in time (0 to 86400; default 0)
  --output FOLDER              the files' (default batches)
  --format csv|jsonl           default csv
  --late FOLDER                for records whose batch was closed before they
                               came (default: late, in the output's folder)
  --property NAME=VALUE        any other property of librdkafka, for TLS, say;
                               as often as wanted
  --help                       this text

Every row has the partition and offset of its record: a record that is written
twice, after a crash, is known by them. Records whose text is not UTF-8 go to
the folder `rejected` in the output's, as they are. At SIGTERM or Ctrl-C, and
when a partition goes to another member of the group, open batches are written
as far as they are; what follows makes further files of the same name and a
number.

Exit status: 0 it was told to end, and everything is written; 1 something was
not; 2 the options make no sense.
)";

namespace {

double number(std::string_view option, const std::string& text, double least, double most) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(value >= least && value <= most))
    throw BadOption(
        fmt::format("{} takes a number from {} to {}, not `{}`", option, least, most, text));
  return value;
}

std::chrono::seconds seconds(std::string_view option, const std::string& text, double least) {
  const double value = number(option, text, least, 86'400);
  if (value != std::floor(value))
    throw BadOption(fmt::format("{} takes whole seconds, not `{}`", option, text));
  return std::chrono::seconds(static_cast<int>(value));
}

Format format(const std::string& text) {
  if (text == "csv") return Format::csv;
  if (text == "jsonl") return Format::jsonl;
  throw BadOption(fmt::format("--format takes csv or jsonl, not `{}`", text));
}

}  // namespace

Options parse_options(int count, const char* const* arguments) {
  Options options;
  options.help = count == 1;
  for (int i = 1; i < count; ++i) {
    const std::string_view option = arguments[i];
    if (option == "--help") {
      options.help = true;
      continue;
    }
    const auto value = [&]() -> std::string {
      if (i + 1 == count) throw BadOption(fmt::format("{} takes a value", option));
      return arguments[++i];
    };
    if (option == "--broker") {
      options.broker = value();
    } else if (option == "--topic") {
      options.topic = value();
    } else if (option == "--group-id") {
      options.group = value();
    } else if (option == "--batch-interval-seconds") {
      options.batch_interval = seconds(option, value(), 1);
    } else if (option == "--poll-interval-seconds") {
      options.poll_interval =
          std::chrono::milliseconds(static_cast<int>(1000 * number(option, value(), 0.05, 3600)));
    } else if (option == "--out-of-order-seconds") {
      options.out_of_order = seconds(option, value(), 0);
    } else if (option == "--output") {
      options.output = value();
    } else if (option == "--late") {
      options.late = value();
    } else if (option == "--property") {
      const std::string property = value();
      const auto equals = property.find('=');
      if (equals == std::string::npos)
        throw BadOption(fmt::format("--property takes NAME=VALUE, not `{}`", property));
      options.properties.set(property.substr(0, equals), property.substr(equals + 1));
    } else if (option == "--format") {
      options.format = format(value());
    } else {
      throw BadOption(fmt::format("unknown option `{}`", option));
    }
  }
  if (options.help) return options;
  for (const auto& [name, given] : {std::pair("--broker", &options.broker),
                                    {"--topic", &options.topic},
                                    {"--group-id", &options.group}})
    if (given->empty()) throw BadOption(fmt::format("{} is missing", name));
  if (options.output.empty()) throw BadOption("--output takes the name of a folder");
  if (options.late.empty()) options.late = options.output / "late";
  return options;
}

}  // namespace batches
