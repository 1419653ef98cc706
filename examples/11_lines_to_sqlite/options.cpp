#include "options.hpp"

#include <fmt/format.h>

#include <charconv>
#include <string_view>

namespace lines {

const char* const help_text =
    R"(usage: 11_lines_to_sqlite [options] [FILE]

Writes the lines of FILE (`-`: standard input; default: a log of this machine,
or a list of its files) to the table `lines` of an SQLite database: a window of
lines per transaction. Lines that are not text go to a file of dead letters.
Ctrl-C ends the input; what has been read is still written.

  --database PATH      add the rows to this one (default: lines.db, made anew)
  --dead-letters PATH  the file for dead letters (default:
                       lines.dead-letters.txt, made anew)
  --window N           lines per transaction at most (default 1000)
  --age-ms N           milliseconds that a line waits at most for its window to
                       fill (default 50)
  --producers N        threads that parse (default 2)
  --workers N          threads that write (default 2)
  --compare            also insert some rows one by one, and tell the factor
  --help               this text

Exit status: 0 everything was written, also after Ctrl-C; 1 something was not;
2 the options make no sense.
)";

namespace {

std::size_t to_number(std::string_view option, std::string_view text, std::size_t most) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 1 || number > most)
    throw BadOption(fmt::format("{} takes a number from 1 to {}, not `{}`", option, most, text));
  return number;
}

}  // namespace

Options parse_options(int count, const char* const* arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    std::string_view option = arguments[i];
    if (!option.starts_with("--")) {
      if (option.starts_with('-') && option != "-")
        throw BadOption(fmt::format("unknown option `{}`", option));
      if (!options.input.empty())
        throw BadOption(fmt::format("one FILE only, not `{}`, too", option));
      if (option.empty()) throw BadOption("the name of FILE is empty");
      options.input = option;
      continue;
    }

    // --name VALUE or --name=VALUE
    const std::size_t equals = option.find('=');
    const bool joined = equals != std::string_view::npos;
    const std::string_view joined_value = joined ? option.substr(equals + 1) : "";
    if (joined) option = option.substr(0, equals);
    const auto value = [&]() -> std::string_view {
      if (!joined && i + 1 == count) throw BadOption(fmt::format("{} takes a value", option));
      const std::string_view text = joined ? joined_value : arguments[++i];
      if (text.empty()) throw BadOption(fmt::format("the value of {} is empty", option));
      return text;
    };

    if (option == "--database") {
      options.database = value();
    } else if (option == "--dead-letters") {
      options.dead_letters = value();
    } else if (option == "--window") {
      options.window = to_number(option, value(), 1'000'000);
    } else if (option == "--age-ms") {
      options.age = std::chrono::milliseconds(to_number(option, value(), 3'600'000));
    } else if (option == "--producers") {
      options.producers = to_number(option, value(), 64);
    } else if (option == "--workers") {
      options.workers = to_number(option, value(), 64);
    } else if (option == "--compare" && !joined) {
      options.compare = true;
    } else if (option == "--help" && !joined) {
      options.help = true;
    } else {
      throw BadOption(fmt::format("unknown option `{}`", arguments[i]));
    }
  }
  return options;
}

}  // namespace lines
