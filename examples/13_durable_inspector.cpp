// Looks into a file of durable streams: what waits, who consumes, what has died. It may run while
// others use the file.
//
//   13_durable_inspector FILE                   the streams
//   13_durable_inspector FILE STREAM            its batches, windows (if it keeps them), dead
//   letters 13_durable_inspector FILE STREAM put-back ID  that dead letter is pending again
//   13_durable_inspector                        on a little file of its own

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <memory>
#include <microbatch/emitters/count_window.hpp>
#include <microbatch/sqlite/durable_stream.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using microbatch::sqlite::Database;

std::string when(std::int64_t wall_ns) {
  if (wall_ns == 0) return "never";
  return fmt::format("{:%F %T}", fmt::localtime(static_cast<std::time_t>(wall_ns / 1'000'000'000)));
}

/// Text as it is, and what a terminal could take amiss as dots.
std::string shown(std::string text, std::size_t most) {
  if (text.size() > most) text = text.substr(0, most - 3) + "...";
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '.';
  return text;
}

void print_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::string line;
    for (std::size_t i = 0; i < rows[r].size(); ++i)
      line += fmt::format("{:<{}}  ", rows[r][i], widths[i]);
    fmt::print("{}\n", line);
    if (r > 0) continue;
    std::size_t width = 0;
    for (const std::size_t w : widths) width += w + 2;
    fmt::print("{:-<{}}\n", "", width - 2);
  }
}

void show_streams(Database& database) {
  std::vector<std::vector<std::string>> rows{{"stream", "codec", "pending", "bytes", "delivered",
                                              "dead", "dropped", "last read", "consumer"}};
  for (const auto& s : database.streams())
    rows.push_back({shown(s.name, 30), fmt::format("{} v{}", s.codec, s.codec_version),
                    std::to_string(s.counts.pending), std::to_string(s.counts.bytes),
                    std::to_string(s.counts.delivered), std::to_string(s.counts.dead_letters),
                    std::to_string(s.counts.expired + s.counts.evicted), when(s.read_at),
                    s.leased ? s.owner : "-"});
  print_table(rows);
}

std::unique_ptr<microbatch::sqlite::Storage> stream_of(std::shared_ptr<Database> database,
                                                       const std::string& name) {
  for (const auto& s : database->streams())
    if (s.name == name)
      return std::make_unique<microbatch::sqlite::Storage>(
          database, name,
          microbatch::sqlite::Storage::StreamSettings{
              .codec = s.codec, .codec_version = s.codec_version, .keep = s.keep});
  throw std::runtime_error(fmt::format("there is no stream '{}'", name));
}

void show_stream(microbatch::sqlite::Storage& stream) {
  std::vector<std::vector<std::string>> rows{{"batch", "items", "settled", "written"}};
  for (const auto& b : stream.batches(0, 20))
    rows.push_back({std::to_string(b.number), std::to_string(b.items), std::to_string(b.settled),
                    when(b.written_at)});
  print_table(rows);
  fmt::print("\n");
  rows = {{"window", "items", "first position", "last position", "committed"}};
  for (const auto& w : stream.windows(0, 20))
    rows.push_back({std::to_string(w.id), std::to_string(w.items), std::to_string(w.first),
                    std::to_string(w.last), when(w.committed_at)});
  print_table(rows);
  fmt::print("\n");
  rows = {{"dead letter", "attempts", "died", "error", "item"}};
  for (const auto& letter : stream.dead_letters(0, 20))
    rows.push_back({std::to_string(letter.id), std::to_string(letter.attempts),
                    when(letter.died_at), shown(letter.error, 30), shown(letter.item, 40)});
  print_table(rows);
}

/// A file with something in it.
std::string sample() {
  std::string file = "inspected.db";
  for (const char* suffix : {"", "-wal", "-shm", "-lock"}) std::filesystem::remove(file + suffix);
  auto database = std::make_shared<Database>(file);
  microbatch::sqlite::DurableStream<std::string> boats(database, "boats", {.keep = true});
  microbatch::sqlite::DurableStream<int> numbers(database, "numbers");
  numbers.append(7, microbatch::synced).get();
  auto consumer = microbatch::streaming(boats, microbatch::CountWindow{1},
                                        [](microbatch::sqlite::Window<std::string>& window) {
                                          if (window[0] == "stone boat")
                                            window.reject(0, "it does not swim");
                                        });
  for (const char* boat : {"red boat", "stone boat", "blue boat"}) boats.append(boat);
  consumer.flush();
  (void)consumer.close();
  boats.append("late boat", microbatch::synced).get();
  return file;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc > 1 && !std::filesystem::exists(argv[1]))
    throw std::runtime_error(fmt::format("{}: there is no such file", argv[1]));
  const std::string file = argc > 1 ? argv[1] : sample();
  auto database = std::make_shared<Database>(file);
  if (argc == 5 && std::string(argv[3]) == "put-back") {
    const bool there = stream_of(database, argv[2])->put_back(std::stoll(argv[4]));
    fmt::print("{}\n", there ? "it is pending again" : "there is no such dead letter");
    return there ? 0 : 1;
  }
  if (argc == 3) {
    show_stream(*stream_of(database, argv[2]));
    return 0;
  }
  show_streams(*database);
  if (argc > 1) return 0;
  fmt::print("\n");
  const auto boats = stream_of(database, "boats");
  show_stream(*boats);
  const auto counts = boats->counts();
  return counts.pending == 1 && counts.delivered == 2 && counts.dead_letters == 1 ? 0 : 1;
} catch (const std::exception& error) {
  fmt::print(stderr, "{}\n", error.what());
  return 2;
}
